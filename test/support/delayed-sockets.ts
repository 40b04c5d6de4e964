import { Socket } from "node:net";
import { Readable } from "node:stream";

/**
 * With FANWIRE_TEST_LATE=1 each socket and pipe of the test delays what it reads, in order. A test that waits for one
 * connection and asserts what another one received then fails often, instead of once in a thousand runs.
 */
const DELAYS_MS = [0, 10, 60, 150];
/** Maximum delayed bytes of a socket. Above this the other side has to wait, as for a slow reader. */
const MOST_BYTES = 16_777_216;

const push = Readable.prototype.push;
const late = new WeakMap<Socket, { readonly delayMs: number; pendingBytes: number }>();

function lateness(socket: Socket) {
  const known = late.get(socket);
  if (known) return known;
  const own = { delayMs: DELAYS_MS[Math.floor(Math.random() * DELAYS_MS.length)] ?? 0, pendingBytes: 0 };
  late.set(socket, own);
  return own;
}

Socket.prototype.push = function (this: Socket, chunk: Uint8Array | null, encoding?: BufferEncoding): boolean {
  const own = lateness(this);
  if (own.delayMs === 0) return push.call(this, chunk, encoding);
  const bytes = chunk?.length ?? 0;
  own.pendingBytes += bytes;
  setTimeout(() => {
    own.pendingBytes -= bytes;
    if (!this.destroyed) push.call(this, chunk, encoding);
  }, own.delayMs);
  return own.pendingBytes < MOST_BYTES && !this.isPaused();
};
