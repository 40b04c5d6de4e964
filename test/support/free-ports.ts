import { createServer, type Server } from "node:net";

/** Below what Linux gives to outgoing connections: no connection takes one of them while its server is away for a moment. */
const LOWEST = 12_000;
const HIGHEST = 32_000;

/** Ports that were free a moment ago; all are held until all are known, so that none comes twice. */
export async function freePorts(count: number): Promise<number[]> {
  const held: { readonly server: Server; readonly port: number }[] = [];
  while (held.length < count) {
    const port = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST));
    const server = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => resolve(true));
    });
    if (isFree) held.push({ server, port });
  }
  await Promise.all(held.map(({ server }) => new Promise((resolve) => server.close(resolve))));
  return held.map(({ port }) => port);
}
