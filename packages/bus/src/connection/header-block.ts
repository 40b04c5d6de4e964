/**
 * The headers of one message, as bytes from anybody: a line that is no header is skipped, and nothing throws. The client's own
 * decoder refuses names with a space or a non-ASCII letter, which nats-server takes.
 */
export class HeaderBlock {
  readonly #text: string;

  constructor(block: Uint8Array) {
    this.#text = Buffer.from(block.buffer, block.byteOffset, block.byteLength).toString();
  }

  /**
   * The value of the first header with this name; "" when there is none. Of the server's own headers (`Nats-…`) the last one:
   * JetStream appends its headers to those that a publisher made up.
   */
  get(name: string): string {
    const line = `\r\n${name}:`;
    const at = name.startsWith("Nats-") ? this.#text.lastIndexOf(line) : this.#text.indexOf(line);
    if (at < 0) return "";
    const start = at + line.length;
    const end = this.#text.indexOf("\r\n", start);
    return this.#text.slice(start, end < 0 ? undefined : end).trim();
  }

  /** The status of a message by which the server itself answers, such as 404; 0 for any other message. */
  get status(): number {
    return Number(/^NATS\/1\.0 (\d{3})/.exec(this.#text)?.[1] ?? 0);
  }

  /** What the server says beside the status. */
  get description(): string {
    return /^NATS\/1\.0 \d{3} ([^\r\n]*)/.exec(this.#text)?.[1] ?? "";
  }
}
