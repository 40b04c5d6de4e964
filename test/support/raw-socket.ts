import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { closeAfterTest } from "./open-clients.ts";
import { until } from "./wait.ts";

export type RawSocket = Awaited<ReturnType<typeof connectSocket>>;

/** Opens a TCP connection, for bytes that no client library sends. */
export async function connectSocket(url: string) {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port) });
  closeAfterTest(() => socket.destroy());
  const chunks: Buffer[] = [];
  let isClosed = false;
  socket.on("data", (chunk) => chunks.push(chunk));
  socket.on("close", () => {
    isClosed = true;
  });
  socket.on("error", () => {}); // the server may reset the connection under test
  await new Promise<void>((resolve) => socket.once("connect", () => resolve()));
  /** Returns everything received so far. */
  const received = () => Buffer.concat(chunks);
  return { socket, received, isClosed: () => isClosed };
}

export const HANDSHAKE = [
  "GET / HTTP/1.1",
  "Host: x",
  "Upgrade: websocket",
  "Connection: Upgrade",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];

/** Opens a raw WebSocket on a TCP connection. Resolves when it has its greeting. */
export async function handshakeSocket(url: string): Promise<RawSocket> {
  const raw = await connectSocket(url);
  raw.socket.write(`${HANDSHAKE.join("\r\n")}\r\n\r\n`);
  await until("the greeting", () => raw.received().includes("подключено"));
  return raw;
}

/** Writes bytes that the server reads separately from those before and after. */
export async function writeSegment({ socket }: RawSocket, bytes: Buffer): Promise<void> {
  socket.setNoDelay(true);
  await new Promise<void>((resolve) => socket.write(bytes, () => resolve()));
  while (unreadBytes(socket) > 0) await delay(1); // the server needs the processor, too
}

/** Returns the bytes that the kernel holds for the server, or 0 if the connection is closed. */
function unreadBytes({ localPort = 0, remotePort = 0 }: Socket): number {
  const [server, client] = [remotePort, localPort].map((port) => port.toString(16).toUpperCase().padStart(4, "0"));
  const pattern = new RegExp(`:${server} [0-9A-F]{8}:${client} \\w+ \\w+:(\\w+)`);
  const [, unread = "0"] = pattern.exec(readFileSync("/proc/net/tcp", "latin1")) ?? [];
  return Number.parseInt(unread, 16);
}

/** Returns a client frame with a mask of zero, which is legal and easy to read. */
export function clientFrame(opcode: number, payload: Buffer, options: { fin?: boolean } = {}): Buffer {
  const first = ((options.fin ?? true) ? 0x80 : 0) | opcode;
  const length =
    payload.length < 126
      ? Buffer.from([0x80 | payload.length])
      : payload.length < 65_536
        ? Buffer.from([0x80 | 126, payload.length >> 8, payload.length & 0xff])
        : Buffer.from([0x80 | 127, 0, 0, 0, 0, ...uint32(payload.length)]);
  return Buffer.concat([Buffer.from([first]), length, Buffer.alloc(4), payload]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
