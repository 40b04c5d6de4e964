import type { Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { openFanwireSocket, takeFrame } from "./crowd.ts";
import type { FanwireMessage } from "./fanwire-client.ts";

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

async function connectReader(url: URL): Promise<LoadReader> {
  const socket = await openFanwireSocket(url);
  let received = Buffer.alloc(0);
  socket.on("data", (chunk) => {
    received = Buffer.concat([received, chunk]);
  });
  return { socket, text: () => received.toString(), messages: () => messagesIn(received) };
}

/** Returns the messages in the text frames after the answer to the handshake. */
function messagesIn(received: Buffer): FanwireMessage[] {
  const messages: FanwireMessage[] = [];
  let rest = received.subarray(received.indexOf("\r\n\r\n") + 4);
  for (let frame = takeFrame(rest); frame !== undefined; frame = takeFrame(rest)) {
    messages.push(
      ...frame.content
        .toString()
        .split("\n")
        .map((line): FanwireMessage => JSON.parse(line)),
    );
    rest = rest.subarray(frame.end);
  }
  return messages;
}
