import { connect, type Socket } from "node:net";
import { inBatches } from "./in-batches.ts";
import { closeAfterTest } from "./open-clients.ts";
import { clientFrame, HANDSHAKE } from "./raw-socket.ts";

/** A fanwire.v1 client of which a test can have thousands. */
export type CrowdClient = {
  send(command: object): void;
  close(): void;
};

/** Maximum simultaneous handshakes, below the length of a listen queue. */
export const AT_ONCE = 200;
const HEADER = "\r\n\r\n";

/**
 * Connects one client for each URL. Calls `onMessage` with the index of the client and the text of each message.
 * Resolves when all have their welcome.
 */
export function connectCrowd(
  urls: readonly string[],
  onMessage: (client: number, text: string) => void,
): Promise<CrowdClient[]> {
  return inBatches(urls.length, AT_ONCE, (at) => connectOne(new URL(urls[at] ?? ""), (text) => onMessage(at, text)));
}

/** Sends the handshake of a fanwire.v1 client. */
export async function openFanwireSocket({ hostname, port, pathname, search }: URL): Promise<Socket> {
  const socket = connect({ host: hostname, port: Number(port) });
  closeAfterTest(() => socket.destroy());
  await new Promise<void>((resolve, reject) => socket.once("connect", resolve).once("error", reject));
  const [, ...headers] = HANDSHAKE;
  const lines = [`GET ${pathname}${search} HTTP/1.1`, ...headers, "Sec-WebSocket-Protocol: fanwire.v1"];
  socket.write(`${lines.join("\r\n")}${HEADER}`);
  return socket;
}

async function connectOne(url: URL, onMessage: (text: string) => void): Promise<CrowdClient> {
  const socket = await openFanwireSocket(url);
  await new Promise<void>((resolve, reject) => {
    socket.once("close", () => reject(new Error("closed before the welcome")));
    readMessages(socket, (text) => {
      if (text.startsWith('{"type":"welcome"')) resolve();
      onMessage(text);
    });
  });
  const send = (command: object) => void socket.write(clientFrame(0x1, Buffer.from(JSON.stringify(command))));
  return { send, close: () => socket.destroy() };
}

function readMessages(socket: Socket, onMessage: (text: string) => void): void {
  let pending: Buffer = Buffer.alloc(0);
  let isOpen = false;
  socket.on("error", () => {});
  socket.on("data", (chunk: Buffer) => {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    if (!isOpen) {
      const end = pending.indexOf(HEADER);
      if (end < 0) return;
      pending = pending.subarray(end + HEADER.length);
      isOpen = true;
    }
    for (let frame = takeFrame(pending); frame !== undefined; frame = takeFrame(pending)) {
      pending = pending.subarray(frame.end);
      if (frame.isText) for (const text of frame.content.toString().split("\n")) onMessage(text);
    }
  });
}

/** Returns the first frame of the bytes, or undefined if it is not complete. */
export function takeFrame(bytes: Buffer): { content: Buffer; end: number; isText: boolean } | undefined {
  if (bytes.length < 2) return undefined;
  const short = bytes.readUInt8(1);
  const header = short === 127 ? 10 : short === 126 ? 4 : 2;
  if (bytes.length < header) return undefined;
  const length = short === 127 ? bytes.readUInt32BE(6) : short === 126 ? bytes.readUInt16BE(2) : short;
  const end = header + length;
  if (bytes.length < end) return undefined;
  return { content: bytes.subarray(header, end), end, isText: (bytes.readUInt8(0) & 0x0f) === 1 };
}
