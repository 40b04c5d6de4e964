import { createHash } from "node:crypto";
import { setImmediate as nextTick } from "node:timers/promises";
import {
  isSameText,
  type PusherApp,
  type PusherApps,
  parseSignedQuery,
  requestSignature,
  type SignedQuery,
  signedTexts,
} from "@fanwire/pusher-protocol";
import { ApiError } from "../../http/errors.ts";
import type { PusherTarget } from "./request-target.ts";

/** Maximum difference between the clocks of a server and of this publisher, in seconds. */
const MAX_CLOCK_SECONDS = 600;
/** 100 channels and all other parameters. The limit is checked before the signature. */
const MAX_PARAMETERS = 150;
const AUTH_VERSION = "1.0";
/** Bytes of a body that are hashed in one tick. */
const HASHED_BYTES = 1_048_576;

/** A request whose signature is valid. Its body must still pass {@link checkBody}. */
export type SignedRequest = {
  readonly app: PusherApp;
  readonly query: SignedQuery;
};

type Unchecked = { readonly method: string; readonly target: PusherTarget; readonly nowSeconds: number };

/**
 * Checks the signature of a request before its body is read.
 *
 * @throws ApiError that never reveals the right signature.
 */
export function authenticate(apps: PusherApps, { method, target, nowSeconds }: Unchecked): SignedRequest {
  const readings = readingsOf(target.query);
  const [first] = readings;
  if (first === undefined) throw new ApiError("malformed_target");
  const auth = readAuth(first);
  const app = target.appId === undefined ? apps.withKey(auth.key) : apps.withId(decoded(target.appId));
  if (app === undefined) throw target.appId === undefined ? unknownKey() : new ApiError("unknown_app");
  const key = app.keys.find((each) => each.key === auth.key);
  if (key === undefined) throw unknownKey();
  if (Math.abs(nowSeconds - auth.timestamp) > MAX_CLOCK_SECONDS) {
    throw refused(`\`auth_timestamp\` differs by more than ${MAX_CLOCK_SECONDS} s from the publisher's clock.`);
  }
  const paths = [...new Set([target.path, decoded(target.path)])];
  for (const query of readings) {
    for (const text of signedTexts(query)) {
      for (const path of paths) {
        const signature = requestSignature(key.secret, { method, path, query: text });
        if (isSameText(auth.signature, signature)) return { app, query };
      }
    }
  }
  throw refused(
    "`auth_signature` is wrong. Sign the method, the path from /apps on and the sorted query with the secret.",
  );
}

/**
 * Checks that the body is the signed one, over several ticks if it is large.
 *
 * @throws ApiError if it is not.
 */
export async function checkBody({ query }: SignedRequest, body: Uint8Array): Promise<void> {
  const md5 = parameter(query, "body_md5");
  if (md5 === undefined) {
    if (body.length > 0) throw refused("`body_md5` is missing, which a request with a body must have.");
    return;
  }
  const hash = createHash("md5");
  for (let at = 0; at < body.length; at += HASHED_BYTES) {
    if (at > 0) await nextTick();
    hash.update(body.subarray(at, at + HASHED_BYTES));
  }
  if (!isSameText(md5.toLowerCase(), hash.digest("hex")))
    throw refused("`body_md5` is not the MD5 of the body as it arrived.");
}

/** Returns the value of a parameter, or undefined if the query does not have it. */
export function parameter(query: SignedQuery, name: string): string | undefined {
  return query.find((each) => each.name === name && !each.isArray)?.value;
}

/** Returns the percent-decoded text, or the text itself if its escapes are not UTF-8. */
export function decoded(text: string): string {
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Returns the query with a plus sign as it is and, if there is one, as a space. */
function readingsOf(query: string): SignedQuery[] {
  if (query.split("&", MAX_PARAMETERS + 1).length > MAX_PARAMETERS) {
    throw refused(`The query has more than ${MAX_PARAMETERS} parameters.`);
  }
  const meanings = query.includes("+") ? (["+", " "] as const) : (["+"] as const);
  return meanings.flatMap((meaning) => {
    const reading = parseSignedQuery(query, meaning);
    return reading === undefined ? [] : [reading];
  });
}

function readAuth(query: SignedQuery): {
  readonly key: string;
  readonly timestamp: number;
  readonly signature: string;
} {
  const read = (name: string) => {
    const values = query.filter((each) => each.name === name);
    const [value] = values;
    if (value === undefined || values.length > 1) throw refused(`The query must have \`${name}\` once.`);
    return value.value;
  };
  const [key, time, signature] = [read("auth_key"), read("auth_timestamp"), read("auth_signature")];
  if (!/^[0-9]{1,15}$/.test(time)) throw refused("`auth_timestamp` must be a Unix time in seconds.");
  const version = parameter(query, "auth_version");
  if (version !== undefined && version !== AUTH_VERSION) throw refused(`\`auth_version\` must be ${AUTH_VERSION}.`);
  return { key, timestamp: Number(time), signature };
}

function unknownKey(): ApiError {
  return refused("`auth_key` is not a key of this app.");
}

function refused(message: string): ApiError {
  return new ApiError("invalid_signature", { message });
}
