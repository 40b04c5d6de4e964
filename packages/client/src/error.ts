/**
 * Why a command failed. The worker's own codes are in docs/protocol.md: `forbidden`, `topic-limit`, `invalid`,
 * `unauthorized`, `too-large`, `unavailable` and so on. This side adds `disconnected` (not connected, or the connection was
 * lost before the answer: a publication may have been sent or not), `timeout`, `closed`, and `busy` (the publish buffer is full).
 */
export class FanwireError extends Error {
  override name = "FanwireError";
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}
