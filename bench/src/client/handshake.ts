import type { Dialect } from "./dialect.ts";

/** Example of RFC 6455 section 1.3. The key is no secret, so all connections share it. */
const KEY = "dGhlIHNhbXBsZSBub25jZQ==";
/** Server's answer to the key. */
const ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const MAX_RESPONSE_BYTES = 8_192;

const upgradeHeaders = `Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${KEY}\r\n`;

/** Returns the opening request of connection number `index`. */
export function openingRequest(host: string, { transport, path, tokens, subprotocol }: Dialect, index: number): string {
  const headers = transport === "websocket" ? upgradeHeaders : "Accept: text/event-stream\r\n";
  const protocol = subprotocol === undefined ? "" : `Sec-WebSocket-Protocol: ${subprotocol}\r\n`;
  const target = path.replaceAll("{index}", String(index)).replace("{token}", tokens?.[index] ?? "");
  return `GET ${target} HTTP/1.1\r\nHost: ${host}\r\n${headers}${protocol}\r\n`;
}

/** Collects a server's answer to the opening request, which may arrive in pieces. */
export class OpeningResponse {
  readonly #transport: Dialect["transport"];
  #text = "";

  constructor(transport: Dialect["transport"]) {
    this.#transport = transport;
  }

  /** Returns the number of `bytes` in the response once it is complete, `undefined` before. Throws on a refusal. */
  read(bytes: Buffer): number | undefined {
    const before = this.#text.length;
    // In Latin-1 one character is one byte, so positions in text and bytes agree.
    this.#text += bytes.toString("latin1", 0, MAX_RESPONSE_BYTES);
    const end = this.#text.indexOf("\r\n\r\n");
    if (end === -1) {
      if (this.#text.length > MAX_RESPONSE_BYTES) throw new Error("the opening response does not end");
      return undefined;
    }
    const head = this.#text.slice(0, end);
    const isWebSocket = this.#transport === "websocket";
    if (!head.startsWith(`HTTP/1.1 ${isWebSocket ? 101 : 200} `)) throw new Error(`refused: ${head.split("\r\n")[0]}`);
    if (isWebSocket && !head.includes(ACCEPT)) throw new Error("upgrade answered for another key");
    return end + 4 - before;
  }
}
