import { AT_ONCE, openFanwireSocket, takeFrame } from "./crowd.ts";
import type { FanwireMessage } from "./fanwire-client.ts";
import { inBatches } from "./in-batches.ts";

/** A fanwire.v1 client that parses its input only on demand, so that a test can have thousands. */
export type LoadReader = Awaited<ReturnType<typeof connectReader>>;

/** Connects `count` readers. Resolves when each has sent its handshake. */
export function connectReaders(url: string, count: number): Promise<LoadReader[]> {
  return inBatches(count, AT_ONCE, () => connectReader(new URL(url)));
}

export function closeReaders(readers: readonly LoadReader[]): void {
  for (const { socket } of readers) socket.destroy();
}

async function connectReader(url: URL) {
  const socket = await openFanwireSocket(url);
  let received = Buffer.alloc(0);
  socket.on("data", (chunk) => {
    received = Buffer.concat([received, chunk]);
  });
  return {
    socket,
    /** All frames so far, as text. */
    text: () => received.toString(),
    /** Messages in the frames so far. */
    messages: () => messagesIn(received),
  };
}

/** Returns the messages in the text frames after the answer to the handshake. */
function messagesIn(received: Buffer): FanwireMessage[] {
  const messages: FanwireMessage[] = [];
  let rest = received.subarray(received.indexOf("\r\n\r\n") + 4);
  for (let frame = takeFrame(rest); frame !== undefined; frame = takeFrame(rest)) {
    for (const line of frame.content.toString().split("\n")) messages.push(JSON.parse(line));
    rest = rest.subarray(frame.end);
  }
  return messages;
}
