/**
 * The headers of one message, which may be any bytes: a line that is no header is skipped, and nothing throws. The
 * client's own decoder refuses names with a space or a non-ASCII letter, which nats-server takes.
 */
export class HeaderBlock {
  readonly #text: string;

  constructor(block: Uint8Array) {
    this.#text = Buffer.from(block.buffer, block.byteOffset, block.byteLength).toString();
  }

  /** Approximate memory of the headers, which the text takes as a whole. */
  get bytes(): number {
    return this.#text.length;
  }

  /**
   * Returns the value of the first header with this name; "" without one. For the server's own headers (`Nats-…`) it
   * returns the last value, because JetStream appends its headers to those of the publisher. It does so without a look
   * at them: the first one does not begin a line if the publisher's block did not end with an empty line.
   */
  get(name: string): string {
    const isOfServer = name.startsWith("Nats-");
    const line = isOfServer ? `${name}:` : `\r\n${name}:`;
    const at = isOfServer ? this.#text.lastIndexOf(line) : this.#text.indexOf(line);
    if (at < 0) return "";
    const start = at + line.length;
    const end = this.#text.indexOf("\r\n", start);
    return this.#text.slice(start, end < 0 ? undefined : end).trim();
  }

  /** Status of a reply by the server itself, for example 404; 0 for any other message. */
  get status(): number {
    return Number(/^NATS\/1\.0 (\d{3})/.exec(this.#text)?.[1] ?? 0);
  }

  /** Text of the server after the status. */
  get description(): string {
    return /^NATS\/1\.0 \d{3} ([^\r\n]*)/.exec(this.#text)?.[1] ?? "";
  }
}
