import type { IncomingMessage, ServerResponse } from "node:http";
import type { HttpBindings } from "@hono/node-server";
import { ApiError, type ErrorCode, parserErrorCode } from "./errors.ts";
import { countValues } from "./json-values.ts";

/** Accepts no charset but UTF-8, also in the spelling `utf8`. Ignores other parameters. */
const JSON_TYPE = /^application\/([\w.-]+\+)?json\s*(;\s*charset\s*=\s*("utf-?8"|utf-?8)\s*)?;?\s*$/i;

/**
 * Average maximum number of JSON values in one publication: 100 topics and all fields. Parsing a body of brackets takes 100 times
 * as long as parsing text of that length, and would block other requests for seconds.
 */
const MAX_VALUES_PER_PUBLICATION = 128;
/** Shorter bodies are not counted, because they parse fast whatever they contain. */
const MIN_COUNTED_BYTES = 262_144;

const MAX_PARSER_MESSAGE = 200;

const utf8Decoder = new TextDecoder("utf-8", { fatal: true });

type BodyLimits = { readonly maxBodyBytes: number; readonly maxHeldBodyBytes: number; readonly maxBatch: number };
export type ParsedBody = {
  readonly value: unknown;
  /** The body, from which the value was parsed. */
  readonly text: string;
};
/** Where the bytes of all bodies in memory are counted. */
type HeldBodies = { heldBodyBytes: number };

/** Reads the JSON bodies of all requests. Limits the bytes of all bodies in memory. */
export class JsonBodies {
  readonly #limits: BodyLimits;
  readonly #held: HeldBodies;

  constructor(limits: BodyLimits, held: HeldBodies) {
    this.#limits = limits;
    this.#held = held;
  }

  /**
   * Returns the value and the text of a body.
   *
   * @throws ApiError if the body is not JSON, is too large, or exceeds the memory for all bodies.
   */
  async read(bindings: HttpBindings): Promise<ParsedBody> {
    checkType(bindings.incoming);
    return this.#parse(await this.readBytes(bindings));
  }

  /** Reads a body of any media type, for callers that check its bytes before they parse it. */
  async readBytes({ incoming, outgoing }: HttpBindings): Promise<Buffer> {
    checkEncoding(incoming);
    if (Number(incoming.headers["content-length"]) > this.#limits.maxBodyBytes) throw new ApiError("body_too_large");
    return this.#collect(incoming, outgoing);
  }

  /** @throws ApiError if the body is not JSON, or has too many values. */
  parse(body: Buffer): unknown {
    return this.#parse(body).value;
  }

  #parse(body: Buffer): ParsedBody {
    this.#checkValues(body);
    return parse(body);
  }

  #checkValues(body: Buffer): void {
    if (body.length < MIN_COUNTED_BYTES) return;
    const maxValues = this.#limits.maxBatch * MAX_VALUES_PER_PUBLICATION;
    if (countValues(body) <= maxValues) return;
    throw new ApiError("invalid_request", {
      message: `The body has more than ${maxValues} JSON values. Send a smaller batch, or large documents as text.`,
    });
  }

  /** Uses events, because an async iterator over the chunks would double the cost of a small request. */
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
 * Requires JSON. This also refuses pages of other origins, because browsers send their JSON only after a preflight request,
 * which the publisher does not allow.
 */
function checkType({ headers }: IncomingMessage): void {
  if (!JSON_TYPE.test(headers["content-type"] ?? "")) throw new ApiError("unsupported_media_type");
}

function checkEncoding({ headers }: IncomingMessage): void {
  if ((headers["content-encoding"] ?? "identity") !== "identity") {
    throw new ApiError("unsupported_media_type", { message: "Send the body uncompressed." });
  }
}

function parse(body: Buffer): ParsedBody {
  const text = decode(body);
  try {
    return { value: JSON.parse(text), text };
  } catch (cause) {
    // The parser names the place. It quotes what the caller has sent, so the text is for the caller only.
    const message = cause instanceof Error ? cause.message.slice(0, MAX_PARSER_MESSAGE) : "";
    throw new ApiError("malformed_json", { cause, details: [{ message }] });
  }
}

function decode(body: Buffer): string {
  try {
    return utf8Decoder.decode(body);
  } catch (cause) {
    throw new ApiError("malformed_json", { cause, details: [{ message: "The body is not UTF-8." }] });
  }
}
