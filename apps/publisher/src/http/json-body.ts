import type { IncomingMessage, ServerResponse } from "node:http";
import type { HttpBindings } from "@hono/node-server";
import { ApiError, type ErrorCode, parserErrorCode } from "./errors.ts";
import { countValues } from "./json-values.ts";

/** Accepts no charset but UTF-8, also in the spelling `utf8`. Ignores other parameters. */
const JSON_TYPE = /^application\/([\w.-]+\+)?json\s*(;\s*charset\s*=\s*("utf-?8"|utf-?8)\s*)?;?\s*$/i;

/**
 * A publication holds no more: to a hundred topics, with all its fields. What is parsed of brackets alone costs a hundred times
 * as much as text of that length, and would hold up everybody else for seconds.
 */
const MAX_VALUES_PER_PUBLICATION = 128;
/** Shorter bodies are parsed whatever they hold: they cannot hold enough. */
const MIN_COUNTED_BYTES = 262_144;

const utf8Decoder = new TextDecoder("utf-8", { fatal: true });

type BodyLimits = { readonly maxBodyBytes: number; readonly maxHeldBodyBytes: number; readonly maxBatch: number };
/** Where it is counted what all bodies hold. */
type HeldBodies = { heldBodyBytes: number };

/** Reads the JSON bodies of all requests. Limits the bytes of all bodies in memory. */
export class JsonBodies {
  readonly #limits: BodyLimits;
  readonly #held: HeldBodies;

  constructor(limits: BodyLimits, held: HeldBodies) {
    this.#limits = limits;
    this.#held = held;
  }

  /** @throws ApiError when the body is no JSON, is too large, or there is no room for it now. */
  async read({ incoming, outgoing }: HttpBindings): Promise<unknown> {
    checkType(incoming);
    if (Number(incoming.headers["content-length"]) > this.#limits.maxBodyBytes) throw new ApiError("body_too_large");
    const body = await this.#collect(incoming, outgoing);
    this.#checkValues(body);
    return parse(body);
  }

  #checkValues(body: Buffer): void {
    if (body.length < MIN_COUNTED_BYTES) return;
    if (countValues(body) <= this.#limits.maxBatch * MAX_VALUES_PER_PUBLICATION) return;
    throw new ApiError("invalid_request", { message: "The body holds more values than any publications do." });
  }

  /** By events: an iterator over the chunks costs a small request as much as all else that is done with it. */
  #collect(incoming: IncomingMessage, outgoing: ServerResponse): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      const refuse = (code: ErrorCode) => {
        incoming.off("data", onData);
        incoming.pause();
        reject(new ApiError(code));
      };
      const onData = (chunk: Buffer) => {
        bytes += chunk.length;
        this.#held.heldBodyBytes += chunk.length;
        if (bytes > this.#limits.maxBodyBytes) refuse("body_too_large");
        else if (this.#held.heldBodyBytes > this.#limits.maxHeldBodyBytes) refuse("too_many_requests");
        else chunks.push(chunk);
      };
      incoming.on("data", onData);
      incoming.once("end", () => resolve(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)));
      incoming.once("error", (cause) => reject(new ApiError(parserErrorCode(cause), { cause })));
      outgoing.once("close", () => {
        // The parsed body stays in memory until the response is sent.
        this.#held.heldBodyBytes -= bytes;
        if (!incoming.readableEnded) reject(new ApiError("malformed_request"));
      });
    });
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

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(utf8Decoder.decode(body));
  } catch (cause) {
    throw new ApiError("malformed_json", { cause });
  }
}
