import { once } from "node:events";
import { createServer } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { publishOverNats } from "./over-nats.ts";
import type { Server } from "./server.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const START_TIMEOUT_MS = 20_000;

/** The subject: the pusher as it is deployed, one worker, its raw door, everything on. */
export const pusher: Server = {
  name: "pusher",
  summary: "apps/pusher, one worker, raw door",
  start: async (lab) => {
    const [port, adminPort] = [await freePort(), await freePort()];
    // From source: tsx translates while it starts and is out of the way then.
    const args = ["--conditions=@fanwire/source", "--import", "tsx", "apps/pusher/src/main.ts"];
    const child = lab.children.start("pusher", process.execPath, args, {
      cwd: root,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        PATH: process.env.PATH,
        FANWIRE_NATS_URL: lab.natsUrl,
        PUSHER_WORKERS: "1",
        PUSHER_HOST: "127.0.0.1",
        PUSHER_PORT: String(port),
        PUSHER_ADMIN_PORT: String(adminPort),
        // The client opens its connections as fast as it can, which is not what is measured.
        PUSHER_HANDSHAKES_PER_SECOND: "0",
      },
    });
    await Promise.race([waitUntilReady(`http://127.0.0.1:${adminPort}/readyz`), child.died]);
    return {
      pid: child.pid,
      address: { host: "127.0.0.1", port, path: "/" },
      greetings: 1,
      publish: publishOverNats(lab),
      died: child.died,
      stop: child.stop,
    };
  },
};

async function waitUntilReady(url: string): Promise<void> {
  for (const deadline = performance.now() + START_TIMEOUT_MS; performance.now() < deadline; await delay(50)) {
    const response = await fetch(url).catch(() => undefined);
    await response?.body?.cancel();
    if (response?.ok) return;
  }
  throw new Error(`the pusher was not ready within ${START_TIMEOUT_MS / 1000} s`);
}

/** Free a moment ago; nobody else takes one of the ephemeral ports on purpose in between. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no free port");
  return address.port;
}
