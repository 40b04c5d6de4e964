/** The example of RFC 6455 section 1.3: the key is no secret, so one will do for everybody. */
const KEY = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const MAX_RESPONSE_BYTES = 8_192;

export function upgradeRequest(host: string, path: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${KEY}\r\n\r\n`;
}

/** Collects a server's answer to the upgrade request, which may come in pieces. */
export class UpgradeResponse {
  #text = "";

  /** Answers how many of `bytes` belong to the response once it is whole, before that `undefined`. Throws on a refusal. */
  read(bytes: Buffer): number | undefined {
    const before = this.#text.length;
    // Latin-1: one character is one byte, so that positions in the text are positions in the bytes.
    this.#text += bytes.toString("latin1", 0, MAX_RESPONSE_BYTES);
    const end = this.#text.indexOf("\r\n\r\n");
    if (end === -1) {
      if (this.#text.length > MAX_RESPONSE_BYTES) throw new Error("the upgrade response does not end");
      return undefined;
    }
    const head = this.#text.slice(0, end);
    if (!head.startsWith("HTTP/1.1 101 ")) throw new Error(`upgrade refused: ${head.split("\r\n")[0]}`);
    if (!head.includes(ACCEPT)) throw new Error("upgrade answered for another key");
    return end + 4 - before;
  }
}
