import { WebSocket } from "ws";
import { until } from "./wait.ts";

export type Client = {
  readonly socket: WebSocket;
  readonly workerId: string;
  readonly connectionId: string;
  readonly address: string;
  /** What came after the greeting; a binary frame shows as a Buffer. */
  readonly frames: (string | Buffer)[];
  close: { readonly code: number; readonly reason: string } | undefined;
};

const GREETING = /^workerID:([a-z][a-z0-9]{7}) connectionID:([1-9]\d*) подключено\n$/;

/** A browser on the raw protocol: resolves once it has read its greeting. */
export async function connectClient(url: string, headers: Record<string, string> = {}): Promise<Client> {
  const socket = new WebSocket(url, { headers, perMessageDeflate: false });
  const frames: (string | Buffer)[] = [];
  let failure: Error | undefined;
  let close: Client["close"];
  let greeting: string | undefined;
  socket.on("message", (data: Buffer, isBinary) => {
    if (greeting === undefined) greeting = data.toString();
    else frames.push(isBinary ? data : data.toString());
  });
  socket.on("close", (code, reason) => {
    close = { code, reason: reason.toString() };
  });
  socket.on("error", (error) => {
    failure = error;
  });

  const text = await until("the greeting", () => {
    if (greeting === undefined && (failure || close)) throw failure ?? new Error(`closed with ${close?.code}`);
    return greeting;
  });
  const [, workerId, connectionId] = GREETING.exec(text) ?? [];
  if (workerId === undefined || connectionId === undefined) throw new Error(`not a greeting: ${JSON.stringify(text)}`);
  return {
    socket,
    workerId,
    connectionId,
    address: `${workerId}.${connectionId}`,
    frames,
    get close() {
      return close;
    },
  };
}

/** Connects `count` clients, a few at a time. */
export async function connectClients(url: string, count: number): Promise<Client[]> {
  const clients: Client[] = [];
  while (clients.length < count) {
    const batch = Array.from({ length: Math.min(50, count - clients.length) }, () => connectClient(url));
    clients.push(...(await Promise.all(batch)));
  }
  return clients;
}
