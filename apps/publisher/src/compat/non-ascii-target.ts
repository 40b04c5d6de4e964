import type { Server } from "node:http";
import { Duplex } from "node:stream";

/** Error of Node's HTTP server for bytes that it could not parse. */
export type ClientError = Error & {
  readonly code?: string;
  /** The chunk in which parsing failed. */
  readonly rawPacket?: Buffer;
  /** How much of it was parsed. */
  readonly bytesParsed?: number;
};

const NEWLINE = 0x0a;
const FIRST_BEYOND_ASCII = 0x80;
const MAX_LINE_BYTES = 65_536;
const REQUEST_START = /^[A-Z]+ (\/|https?:\/\/)/;

const replays = new WeakSet<Duplex>();
const replayedSockets = new WeakSet<Duplex>();

/** Whether this stream replays a request; it carries just that one. */
export function isReplay(stream: Duplex): boolean {
  return replays.has(stream);
}

/** Whether this socket's request was given to a replay, which alone may write to it now. */
export function isReplayed(socket: Duplex): boolean {
  return replayedSockets.has(socket);
}

/**
 * Gives a request whose line holds bytes beyond ASCII a second chance with those bytes percent-encoded. False when
 * `error` is about something else.
 *
 * `curl 'http://localhost:4237/?content=привет'` sends such a line, as do PHP's own HTTP clients, and the original took
 * it. Node's parser refuses it and cannot be told otherwise (`nodejs/llhttp` issue 259).
 */
export function replayWithEncodedTarget(server: Server, error: ClientError, socket: Duplex): boolean {
  if (error.code !== "HPE_INVALID_URL" || isReplay(socket) || isReplayed(socket)) return false;
  const packet = fromRequestLine(error);
  if (packet === undefined) return false;

  replayedSockets.add(socket);
  // The failed parser must not see another byte. It keeps its "close" listener, which frees it, and its place among the
  // connections that are late with their headers, which bounds the wait for the rest of the line.
  for (const event of ["data", "end"]) socket.removeAllListeners(event);
  onceLineComplete(socket, packet, (line, rest) => {
    server.emit("connection", replayOf(socket, Buffer.concat([encodeRequestLine(line), rest])));
  });
  return true;
}

/** The failed chunk from its last request line on, if what the parser refused is a byte beyond ASCII in that line. */
function fromRequestLine({ rawPacket, bytesParsed }: ClientError): Buffer | undefined {
  if (rawPacket === undefined || bytesParsed === undefined) return undefined;
  const packet = rawPacket.subarray(rawPacket.lastIndexOf(NEWLINE, bytesParsed - 1) + 1);
  const refused = rawPacket[bytesParsed] ?? 0;
  // The beginning of a line that came in several chunks is lost in the parser; such a line stays refused.
  return refused >= FIRST_BEYOND_ASCII && REQUEST_START.test(packet.toString("latin1", 0, 32)) ? packet : undefined;
}

function onceLineComplete(socket: Duplex, start: Buffer, onLine: (line: Buffer, rest: Buffer) => void): void {
  let bytes = start;
  const check = () => {
    const end = bytes.indexOf(NEWLINE) + 1;
    if (end === 0 && bytes.length > MAX_LINE_BYTES) socket.destroy();
    if (end === 0) return;
    socket.off("data", onData);
    onLine(bytes.subarray(0, end), bytes.subarray(end));
  };
  const onData = (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk]);
    check();
  };
  socket.on("data", onData);
  socket.on("end", () => socket.end());
  check();
}

/** Also ends the connection after the answer: the next request might need a parser that can fail again. */
function encodeRequestLine(line: Buffer): Buffer {
  const encoded = line
    .toString("latin1")
    .replaceAll(/[\x80-\xff]/g, (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase()}`);
  return Buffer.from(`${encoded}Connection: close\r\n`, "latin1");
}

/** `socket` as it would have been if its client had sent `head` first. */
function replayOf(socket: Duplex, head: Buffer): Duplex {
  const stream = new Duplex({
    read: () => socket.resume(),
    write: (chunk: Buffer, _encoding, done) => void socket.write(chunk, done),
    final: (done) => void socket.end(() => done()),
    destroy: (error, done) => {
      socket.destroy();
      done(error);
    },
  });
  stream.push(head);
  socket.on("data", (chunk: Buffer) => {
    if (!stream.push(chunk)) socket.pause();
  });
  socket.on("end", () => stream.push(null));
  socket.on("close", () => stream.destroy());
  replays.add(stream);
  return stream;
}
