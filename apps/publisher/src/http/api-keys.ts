import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { HttpBindings } from "@hono/node-server";
import type { MiddlewareHandler } from "hono";
import { ApiError } from "./errors.ts";

/** The API keys. A request must have one of them. */
export class ApiKeys {
  readonly #digests: readonly Buffer[];

  constructor(keys: readonly string[]) {
    this.#digests = keys.map((key) => digest(Buffer.from(key)));
  }

  /** Whether no keys are configured, so that all requests are accepted. */
  get isOpen(): boolean {
    return this.#digests.length === 0;
  }

  /** Takes the same time for every key, because digests have one length and all of them are compared. */
  accepts(key: Uint8Array): boolean {
    const given = digest(key);
    let matches = 0;
    for (const known of this.#digests) matches += Number(timingSafeEqual(known, given));
    return matches > 0;
  }
}

function digest(key: Uint8Array): Buffer {
  return createHash("sha256").update(key).digest();
}

/** Returns the key of `Authorization: Bearer <key>` as bytes. */
export function bearerKey(incoming: Pick<IncomingMessage, "headers">): Uint8Array | undefined {
  const [, key] = /^Bearer +(\S+) *$/i.exec(incoming.headers.authorization ?? "") ?? [];
  return key === undefined ? undefined : Buffer.from(key, "latin1");
}

/** @throws ApiError unless one of `given` is a valid key. */
export function checkKey(keys: ApiKeys, ...given: (Uint8Array | undefined)[]): void {
  if (keys.isOpen || given.some((key) => key !== undefined && keys.accepts(key))) return;
  throw new ApiError("unauthorized");
}

export function requireKey(keys: ApiKeys): MiddlewareHandler<{ Bindings: HttpBindings }> {
  return (c, next) => {
    checkKey(keys, bearerKey(c.env.incoming));
    return next();
  };
}
