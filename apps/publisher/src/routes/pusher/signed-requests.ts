import type { PusherApp, SignedQuery } from "@fanwire/pusher-protocol";
import type { Context } from "hono";
import type { ApiParts, Env } from "../../http/api.ts";
import { ApiError } from "../../http/errors.ts";
import { authenticate, checkBody, decoded } from "./authenticate.ts";
import { type Fields, isRecord } from "./event-request.ts";
import { pusherTarget } from "./request-target.ts";

/** A request whose signature is valid. */
export type PusherRequest = {
  readonly app: PusherApp;
  readonly query: SignedQuery;
  /** Channel or user id of the path, as received. */
  readonly name: string;
  readonly body: Buffer;
};

/** Fields that a request may have in its query instead of its body. */
const QUERY_FIELDS = ["name", "data", "channel", "socket_id", "info"];

/** Reads requests to the Pusher HTTP API and checks their signatures. */
export class SignedRequests {
  readonly #parts: Pick<ApiParts, "bodies" | "config">;

  constructor(parts: Pick<ApiParts, "bodies" | "config">) {
    this.#parts = parts;
  }

  /** @throws ApiError unless the request is signed with a key of the app. Reads no body before that. */
  async read(c: Context<Env>): Promise<PusherRequest> {
    const { incoming } = c.env;
    const target = pusherTarget(incoming.url ?? "");
    if (target === undefined) throw new ApiError("not_found");
    const { bodies, config } = this.#parts;
    const nowSeconds = Math.floor(Date.now() / 1_000);
    const signed = authenticate(config.pusherApps, { method: incoming.method ?? "", target, nowSeconds });
    const body = await bodies.readBytes(c.env);
    await checkBody(signed, body);
    return { ...signed, name: target.name, body };
  }

  /** Returns the fields of the body. Fields that it does not have are those of the query. */
  async fieldsOf({ body, query }: PusherRequest): Promise<Fields> {
    const sent = body.length === 0 ? {} : (await this.#parts.bodies.parse(body)).value;
    if (!isRecord(sent)) {
      throw new ApiError("invalid_pusher_request", { message: "The body is no JSON object. Send an object." });
    }
    return { ...fieldsOfQuery(query), ...sent };
  }
}

/**
 * Returns the user id of a path. An id whose escapes are not UTF-8 is the text itself, because some SDKs do not escape
 * it.
 */
export function userIdOf({ name }: PusherRequest): string {
  return decoded(name);
}

function fieldsOfQuery(query: SignedQuery): Fields {
  const fields: Record<string, unknown> = {};
  for (const { name, value, isArray } of query) if (!isArray && QUERY_FIELDS.includes(name)) fields[name] = value;
  const channels = query.filter(({ name }) => name === "channels");
  return channels.length === 0 ? fields : { ...fields, channels: channels.map(({ value }) => value) };
}
