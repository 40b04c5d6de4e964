import { isAscii } from "node:buffer";
import type { IncomingMessage, ServerResponse } from "node:http";
import { setImmediate as nextTick } from "node:timers/promises";
import type { HttpBindings } from "@hono/node-server";
import { ApiError, type ErrorCode, parserErrorCode } from "./errors.ts";
import { countValues } from "./json-values.ts";

const JSON_TYPE = /^application\/(?:[\w.+-]+\+)?json$/i;
const CHARSET = /^charset\s*=/i;
/** Also in the spelling `utf8`. */
const UTF_8 = /^charset\s*=\s*("utf-?8"|utf-?8)$/i;

/**
 * Average maximum number of JSON values in one publication: 100 topics and all fields. Parsing a body of brackets takes
 * 100 times as long as parsing text of that length, and would block other requests for seconds.
 */
const MAX_VALUES_PER_PUBLICATION = 128;
/** Shorter bodies are parsed in one tick and not counted, because they parse fast whatever they contain. */
export const LARGE_BODY_BYTES = 262_144;

/** Bytes of a large body that are decoded in one tick. */
const DECODED_BYTES = 1_048_576;

const MAX_PARSER_MESSAGE = 200;

const TOO_MANY_COPIES = {
  message:
    "The publications to all topics exceed PUBLISHER_MAX_BODY_BYTES. Send to fewer topics at a time, or raise it.",
};

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
  /** Counted bytes of each request. */
  readonly #bytes = new WeakMap<IncomingMessage, number>();

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
    return this.parse(await this.readBytes(bindings));
  }

  /** Reads a body of any media type, for callers that check its bytes before they parse it. */
  async readBytes({ incoming, outgoing }: HttpBindings): Promise<Buffer> {
    checkEncoding(incoming);
    if (Number(incoming.headers["content-length"]) > this.#limits.maxBodyBytes) throw new ApiError("body_too_large");
    return this.#collect(incoming, outgoing);
  }

  /**
   * Parses a body, over several ticks if it is large.
   *
   * @throws ApiError if the body is not JSON, or has too many values.
   */
  async parse(body: Buffer): Promise<ParsedBody> {
    if (body.length < LARGE_BODY_BYTES) return parsed(decode(body));
    // Other requests run between the steps.
    this.#checkValues(body);
    await nextTick();
    return parsed(await decodeInSteps(body));
  }

  /**
   * Counts the copies of content for further topics like bytes of the body, because they take as much memory.
   *
   * @throws ApiError if the body is too large with them, or exceeds the memory for all bodies.
   */
  addCopies({ incoming }: HttpBindings, bytes: number): void {
    const refusal = this.#hold(incoming, bytes);
    if (refusal !== undefined) throw new ApiError(refusal, refusal === "body_too_large" ? TOO_MANY_COPIES : {});
  }

  /**
   * Releases the bytes of a request when its response has closed. Must be called after its route, which may use the
   * body for seconds after the client has disconnected.
   */
  release({ incoming, outgoing }: HttpBindings): void {
    const release = () => {
      this.#held.heldBodyBytes -= this.#bytes.get(incoming) ?? 0;
    };
    if (outgoing.destroyed) release();
    else outgoing.once("close", release);
  }

  #checkValues(body: Buffer): void {
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
      const onData = (chunk: Buffer) => {
        const refusal = this.#hold(incoming, chunk.length);
        if (refusal === undefined) {
          chunks.push(chunk);
          return;
        }
        incoming.off("data", onData);
        incoming.pause();
        reject(new ApiError(refusal));
      };
      incoming.on("data", onData);
      incoming.once("end", () => resolve(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)));
      incoming.once("error", (cause) => reject(new ApiError(parserErrorCode(cause), { cause })));
      outgoing.once("close", () => {
        if (!incoming.readableEnded) reject(new ApiError("malformed_request"));
      });
    });
  }

  /** Counts bytes of a request, or returns why they are too many. */
  #hold(incoming: IncomingMessage, bytes: number): ErrorCode | undefined {
    const ofRequest = (this.#bytes.get(incoming) ?? 0) + bytes;
    if (ofRequest > this.#limits.maxBodyBytes) return "body_too_large";
    if (this.#held.heldBodyBytes + bytes > this.#limits.maxHeldBodyBytes) return "too_many_requests";
    this.#bytes.set(incoming, ofRequest);
    this.#held.heldBodyBytes += bytes;
    return undefined;
  }
}

/**
 * Requires JSON. This also refuses pages of other origins, because browsers send their JSON only after a preflight
 * request, which the publisher does not allow.
 */
function checkType({ headers }: IncomingMessage): void {
  if (!isJsonType(headers["content-type"] ?? "")) throw new ApiError("unsupported_media_type");
}

/** Accepts no charset but UTF-8. Ignores other parameters, which change nothing for JSON. */
function isJsonType(contentType: string): boolean {
  // Most callers send no parameters.
  if (JSON_TYPE.test(contentType)) return true;
  const [type = "", ...parameters] = contentType.split(";").map((part) => part.trim());
  return JSON_TYPE.test(type) && parameters.every((parameter) => !CHARSET.test(parameter) || UTF_8.test(parameter));
}

function checkEncoding({ headers }: IncomingMessage): void {
  if ((headers["content-encoding"] ?? "identity") !== "identity") {
    throw new ApiError("unsupported_media_type", { message: "Send the body uncompressed." });
  }
}

function parsed(text: string): ParsedBody {
  try {
    return { value: JSON.parse(text), text };
  } catch (cause) {
    // The parser names the place. It quotes what the caller has sent, so the text is for the caller only.
    const message = cause instanceof Error ? cause.message.slice(0, MAX_PARSER_MESSAGE) : "";
    throw new ApiError("malformed_json", { cause, details: [{ message }] });
  }
}

function decode(body: Buffer): string {
  // Copies instead of decoding.
  if (isAscii(body)) return body.toString("latin1");
  try {
    return utf8Decoder.decode(body);
  } catch (cause) {
    throw notUtf8(cause);
  }
}

/** Decodes a large body over several ticks. */
async function decodeInSteps(body: Buffer): Promise<string> {
  if (isAscii(body)) return body.toString("latin1");
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let text = "";
  try {
    for (let at = 0; at < body.length; at += DECODED_BYTES) {
      text += decoder.decode(body.subarray(at, at + DECODED_BYTES), { stream: true });
      await nextTick();
    }
    return text + decoder.decode();
  } catch (cause) {
    throw notUtf8(cause);
  }
}

function notUtf8(cause: unknown): ApiError {
  return new ApiError("malformed_json", { cause, details: [{ message: "The body is not UTF-8." }] });
}
