/**
 * Error of a command. docs/protocol.md lists the codes of workers, for example `forbidden`, `topic-limit`, `invalid`,
 * `unauthorized`, `too-large` and `unavailable`. The client adds
 *
 * - `disconnected`: not connected, or the connection was lost before the reply, and the publication may have been sent
 * - `timeout`: no reply within `commandTimeoutMs`
 * - `closed`: the client is closed, or the topic was unsubscribed
 * - `busy`: the publish buffer is full
 * - `invalid`: also an argument of another type than declared
 * - `not-json`: the content of a publication is not JSON
 * - `unsupported`: the worker is too old for presence
 */
export class FanwireError extends Error {
  override name = "FanwireError";
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}
