import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Dialect } from "../client/dialect.ts";
import { NatsPublisher } from "../nats-publisher.ts";
import { publishPaced } from "../pacer.ts";
import { everyone } from "./over-nats.ts";
import { freePort } from "./ports.ts";
import type { Server } from "./server.ts";

/** The NATS protocol within WebSocket frames: https://docs.nats.io/reference/reference-protocols/nats-protocol */
const dialect: Dialect = {
  transport: "websocket",
  path: "/",
  hello: `CONNECT {"verbose":false}\r\nSUB ${everyone} 1\r\nPING\r\n`,
  answers: { "PING\r\n": "PONG\r\n" },
  greetings: 2,
};

export const natsWebSocket: Server = {
  name: "nats-ws",
  summary: "peer: nats-server's own WebSocket, each client a NATS client",
  start: async (lab) => {
    const folder = mkdtempSync(join(tmpdir(), "fanwire-bench-nats-ws-"));
    const [port, natsPort] = [await freePort(), await freePort()];
    const file = join(folder, "nats.conf");
    writeFileSync(
      file,
      `listen: "127.0.0.1:${natsPort}"\nmax_connections: 200000\nmax_pending: 268435456\nping_interval: "10m"\nwebsocket { listen: "127.0.0.1:${port}", no_tls: true }\n`,
    );
    const child = lab.children.start("nats-ws", "nats-server", ["-c", file], { stdio: ["ignore", "pipe", "pipe"] });
    await Promise.race([untilOpen(port), child.died]);
    const publisher = await NatsPublisher.connect(natsPort);
    return {
      pid: child.pid,
      died: child.died,
      address: { host: "127.0.0.1", port },
      dialect,
      publish: (plan) => publishPaced(plan, (contents) => publisher.publish([everyone], contents)),
      stop: async () => {
        publisher.close();
        await child.stop();
        rmSync(folder, { recursive: true, force: true });
      },
    };
  },
};

/** Resolves when the port accepts connections. */
export async function untilOpen(port: number): Promise<void> {
  for (;;) {
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1", () => {
        socket.destroy();
        resolve(true);
      });
      socket.once("error", () => resolve(false));
    });
    if (isOpen) return;
    await delay(20);
  }
}
