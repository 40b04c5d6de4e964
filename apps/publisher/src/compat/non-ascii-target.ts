import type { Server } from "node:http";
import { Duplex } from "node:stream";

/** Error of Node's HTTP server for bytes that it could not parse. */
export type ClientError = Error & {
  readonly code?: string;
  /** The chunk in which the parser failed. */
  readonly rawPacket?: Buffer;
  /** Number of parsed bytes of the chunk. */
  readonly bytesParsed?: number;
};

const NEWLINE = 0x0a;
const FIRST_BEYOND_ASCII = 0x80;
const MAX_LINE_BYTES = 65_536;
const REQUEST_START = /^[A-Z]+ (\/|https?:\/\/)/;

const replays = new WeakSet<Duplex>();
const replayedSockets = new WeakSet<Duplex>();

/** Whether this stream replays one request. It has no other. */
export function isReplayStream(stream: Duplex): boolean {
  return replays.has(stream);
}

/** Whether a replay has taken over this socket's request. Only the replay may write to the socket then. */
export function isTakenOver(socket: Duplex): boolean {
  return replayedSockets.has(socket);
}

/**
 * Replays a request whose request line has non-ASCII bytes, with these bytes percent-encoded. Returns false if `error`
 * has another cause.
 *
 * `curl 'http://localhost:4237/?content=привет'` and PHP's HTTP clients send such a line, and the Workerman cluster
 * accepted it. Node's parser always refuses it (`nodejs/llhttp` issue 259).
 */
export function replayWithEncodedTarget(server: Server, error: ClientError, socket: Duplex): boolean {
  if (error.code !== "HPE_INVALID_URL" || isReplayStream(socket) || isTakenOver(socket)) return false;
  const packet = fromRequestLine(error);
  if (packet === undefined) return false;

  replayedSockets.add(socket);
  // The failed parser must not receive further bytes. Its "close" listener stays, because it frees the parser. The
  // timeout for headers stays as well, because it limits the wait for the rest of the line.
  for (const event of ["data", "end"]) socket.removeAllListeners(event);
  onceLineComplete(socket, packet, (line, rest) => {
    server.emit("connection", replayOf(socket, Buffer.concat([encodeRequestLine(line), rest])));
  });
  return true;
}

/** Returns the failed chunk from its last request line on, if the parser refused a non-ASCII byte in that line. */
function fromRequestLine({ rawPacket, bytesParsed }: ClientError): Buffer | undefined {
  if (rawPacket === undefined || bytesParsed === undefined) return undefined;
  const packet = rawPacket.subarray(rawPacket.lastIndexOf(NEWLINE, bytesParsed - 1) + 1);
  const refused = rawPacket[bytesParsed] ?? 0;
  // The parser does not return the beginning of a line in several chunks, so that such a line stays refused.
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

/** Also closes the connection after the response, because the next request may need a replay too. */
function encodeRequestLine(line: Buffer): Buffer {
  const encoded = line
    .toString("latin1")
    .replaceAll(/[\x80-\xff]/g, (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase()}`);
  return Buffer.from(`${encoded}Connection: close\r\n`, "latin1");
}

/** Returns a stream that reads `head` and then the rest of `socket`, and writes to `socket`. */
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
