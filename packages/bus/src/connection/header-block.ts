/**
 * The headers of one message, as bytes from anybody: a line that is no header is skipped, and nothing throws. The
 * client's own decoder refuses names with a space or a non-ASCII letter, which nats-server takes.
 */
export class HeaderBlock {
  readonly #text: string;

  constructor(block: Uint8Array) {
    this.#text = Buffer.from(block.buffer, block.byteOffset, block.byteLength).toString();
  }

  /**
   * Returns the value of the first header with this name; "" without one. For the server's own headers (`Nats-…`) it
   * returns the last value, because JetStream appends its headers to those of the publisher.
   */
  get(name: string): string {
    const line = `\r\n${name}:`;
    const at = name.startsWith("Nats-") ? this.#text.lastIndexOf(line) : this.#text.indexOf(line);
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
