import { randomInt } from "node:crypto";
import { createServer } from "node:net";

/** Range below the ports that Linux assigns to outgoing connections and to listeners on port 0. */
const LOWEST_FREE = 12_000;
const HIGHEST_FREE = 32_000;
const MAX_TRIES = 100;

/**
 * Returns the port that all workers will share; 0 becomes a free one. The kernel would let another process of the same
 * user share the port too, and silently take half of the connections. A listener that does not share the port detects
 * that.
 */
export async function reservePort(host: string, port: number): Promise<number> {
  if (port !== 0) return probePort(host, port);
  // If the kernel chose the port, it could assign the same one to an outgoing connection before the workers listen.
  for (let tries = 1; ; tries++) {
    const candidate = randomInt(LOWEST_FREE, HIGHEST_FREE);
    try {
      return await probePort(host, candidate);
    } catch (error) {
      if (tries === MAX_TRIES) throw error;
    }
  }
}

/** Resolves with the port if no process listens on it. */
function probePort(host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", (error) => reject(new Error(`cannot listen on ${host}:${port}`, { cause: error })));
    probe.listen({ host, port, exclusive: true }, () => probe.close(() => resolve(port)));
  });
}
