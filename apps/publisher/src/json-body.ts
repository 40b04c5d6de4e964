import type { IncomingMessage } from "node:http";
import type { HttpBindings } from "@hono/node-server";
import type { Gauge } from "prom-client";
import { ApiError } from "./errors.ts";

const JSON_TYPE = /^application\/([\w.-]+\+)?json\s*(;\s*charset="?utf-8"?\s*)?$/i;

const utf8Decoder = new TextDecoder("utf-8", { fatal: true });

type BodyLimits = { readonly maxBodyBytes: number; readonly maxHeldBodyBytes: number };

/** Reads the JSON bodies of all requests, and holds no more of them at once than it may. */
export class JsonBodies {
  readonly #limits: BodyLimits;
  readonly #heldGauge: Gauge;
  #heldBytes = 0;

  constructor(limits: BodyLimits, heldGauge: Gauge) {
    this.#limits = limits;
    this.#heldGauge = heldGauge;
  }

  /** @throws ApiError when the body is no JSON, is too large, or there is no room for it now. */
  async read({ incoming, outgoing }: HttpBindings): Promise<unknown> {
    checkType(incoming);
    if (Number(incoming.headers["content-length"]) > this.#limits.maxBodyBytes) throw new ApiError("body_too_large");
    const chunks: Buffer[] = [];
    let bytes = 0;
    // What is made of the body lives until the answer is out.
    outgoing.once("close", () => this.#hold(-bytes));

    for await (const chunk of chunksOf(incoming)) {
      bytes += chunk.length;
      this.#hold(chunk.length);
      if (bytes > this.#limits.maxBodyBytes) throw new ApiError("body_too_large");
      if (this.#heldBytes > this.#limits.maxHeldBodyBytes) throw new ApiError("too_many_requests");
      chunks.push(chunk);
    }
    return parse(Buffer.concat(chunks));
  }

  #hold(bytes: number): void {
    this.#heldBytes += bytes;
    this.#heldGauge.set(this.#heldBytes);
  }
}

/**
 * A page of another origin can send JSON only after asking with a preflight request, which nobody here answers: so this
 * also keeps strangers' pages from publishing through the browser of somebody who reaches an open publisher.
 */
function checkType({ headers }: IncomingMessage): void {
  if (!JSON_TYPE.test(headers["content-type"] ?? "")) throw new ApiError("unsupported_media_type");
  if ((headers["content-encoding"] ?? "identity") !== "identity") {
    throw new ApiError("unsupported_media_type", { message: "The body must not be compressed." });
  }
}

async function* chunksOf(incoming: IncomingMessage): AsyncGenerator<Buffer> {
  try {
    // Destroying what was not read to its end would destroy the socket, and the answer with it.
    for await (const chunk of incoming.iterator({ destroyOnReturn: false })) yield chunk;
  } catch (cause) {
    throw new ApiError("malformed_request", { cause });
  }
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(utf8Decoder.decode(body));
  } catch (cause) {
    throw new ApiError("malformed_json", { cause });
  }
}
