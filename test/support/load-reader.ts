import { connect, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { FanwireMessage } from "./fanwire-client.ts";
import { HANDSHAKE } from "./raw-socket.ts";

/** A fanwire.v1 client that parses its input only on demand, so that a test can have thousands. */
export type LoadReader = {
  /** All frames so far, as text. */
  text(): string;
  /** Messages in the frames so far. */
  messages(): FanwireMessage[];
  readonly socket: Socket;
};

/** Maximum simultaneous handshakes, below the length of a listen queue. */
const AT_ONCE = 200;
const SHORT_FRAME = 126;
const LONG_FRAME = 127;

/** Connects `count` readers. Resolves when each has sent its handshake. */
export async function connectReaders(url: string, count: number): Promise<LoadReader[]> {
  const readers: LoadReader[] = [];
  while (readers.length < count) {
    const batch = Array.from({ length: Math.min(AT_ONCE, count - readers.length) }, () => connectReader(new URL(url)));
    readers.push(...(await Promise.all(batch)));
    await delay(1); // lets this process read what the servers send
  }
  return readers;
}

export function closeReaders(readers: readonly LoadReader[]): void {
  for (const { socket } of readers) socket.destroy();
}

async function connectReader({ hostname, port, pathname, search }: URL): Promise<LoadReader> {
  const socket = connect({ host: hostname, port: Number(port) });
  let received = Buffer.alloc(0);
  socket.on("data", (chunk) => {
    received = Buffer.concat([received, chunk]);
  });
  await new Promise<void>((resolve, reject) => socket.once("connect", resolve).once("error", reject));
  const [, ...headers] = HANDSHAKE;
  const lines = [`GET ${pathname}${search} HTTP/1.1`, ...headers, "Sec-WebSocket-Protocol: fanwire.v1"];
  socket.write(`${lines.join("\r\n")}\r\n\r\n`);
  return { socket, text: () => received.toString(), messages: () => messagesIn(received) };
}

/** Returns the messages in the text frames after the answer to the handshake. */
function messagesIn(received: Buffer): FanwireMessage[] {
  const messages: FanwireMessage[] = [];
  let at = received.indexOf("\r\n\r\n") + 4;
  while (at < received.length) {
    const size = received.readUInt8(at + 1);
    const header = size === LONG_FRAME ? 10 : size === SHORT_FRAME ? 4 : 2;
    const length =
      size === LONG_FRAME ? received.readUInt32BE(at + 6) : size === SHORT_FRAME ? received.readUInt16BE(at + 2) : size;
    const content = received.toString("utf8", at + header, at + header + length);
    messages.push(...content.split("\n").map((line): FanwireMessage => JSON.parse(line)));
    at += header + length;
  }
  return messages;
}
