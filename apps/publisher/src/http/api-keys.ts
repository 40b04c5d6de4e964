import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { HttpBindings } from "@hono/node-server";
import type { MiddlewareHandler } from "hono";
import { type KeyScope, parseKeyEntry } from "../key-entry.ts";
import { ApiError } from "./errors.ts";

const READ_METHODS: ReadonlySet<string> = new Set(["GET", "HEAD"]);

/** The API keys. A request must have one of them. */
export class ApiKeys {
  readonly #keys: readonly { readonly digest: Buffer; readonly scope: KeyScope }[];

  /** @param entries of the setting; those that begin with `read:` are keys that only read. */
  constructor(entries: readonly string[]) {
    this.#keys = entries.map(parseKeyEntry).map(({ key, scope }) => ({ digest: digest(Buffer.from(key)), scope }));
  }

  /** Whether no keys are configured, so that all requests are accepted. */
  get isOpen(): boolean {
    return this.#keys.length === 0;
  }

  /**
   * Returns the scope of a key; undefined for a wrong one. Takes the same time for every key, because digests have one
   * length and all of them are compared.
   */
  scopeOf(key: Uint8Array): KeyScope | undefined {
    const given = digest(key);
    const matches = { full: 0, read: 0 };
    for (const { digest, scope } of this.#keys) matches[scope] += Number(timingSafeEqual(digest, given));
    if (matches.full > 0) return "full";
    return matches.read > 0 ? "read" : undefined;
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

/**
 * Returns the highest scope of the keys that a request has.
 *
 * @throws ApiError unless one of `given` is a valid key.
 */
export function scopeOf(keys: ApiKeys, ...given: (Uint8Array | undefined)[]): KeyScope | "open" {
  if (keys.isOpen) return "open";
  const scopes = given.map((key) => key && keys.scopeOf(key));
  if (scopes.includes("full")) return "full";
  if (scopes.includes("read")) return "read";
  throw new ApiError("unauthorized");
}

/** @throws ApiError unless one of `given` is a key that allows everything. */
export function checkFullKey(keys: ApiKeys, ...given: (Uint8Array | undefined)[]): void {
  if (scopeOf(keys, ...given) === "read") throw new ApiError("forbidden");
}

/** Requires a key, and for everything but reads one that allows it. */
export function requireKey(keys: ApiKeys): MiddlewareHandler<{ Bindings: HttpBindings }> {
  return (c, next) => {
    const isRead = READ_METHODS.has(c.req.method);
    if (isRead) scopeOf(keys, bearerKey(c.env.incoming));
    else checkFullKey(keys, bearerKey(c.env.incoming));
    return next();
  };
}
