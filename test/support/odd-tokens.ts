import { createHmac } from "node:crypto";
import { SECRET } from "./tokens.ts";

const encode = (part: unknown) =>
  Buffer.from(Buffer.isBuffer(part) ? part : typeof part === "string" ? part : JSON.stringify(part)).toString(
    "base64url",
  );

/** Signs any claims with the secret; text and bytes as they are. */
function sign(claims: unknown, header: unknown = { alg: "HS256" }): string {
  const text = `${encode(header)}.${encode(claims)}`;
  return `${text}.${createHmac("sha256", SECRET).update(text).digest("base64url")}`;
}

const now = Math.floor(Date.now() / 1_000);
const nested = (depth: number) => JSON.parse("[".repeat(depth) + "]".repeat(depth));

/** Tokens at the limits of what a pusher accepts, and beyond them. */
export const oddTokens: Readonly<Record<string, string>> = {
  "no claims": sign({}),
  "within the leeway": sign({ exp: now - 2 }),
  expired: sign({ exp: now - 60 }),
  "of the future": sign({ nbf: now + 600 }),
  "issued in the future": sign({ iat: now + 600 }),
  "exp as text": sign({ exp: "9999999999" }),
  "exp beyond all numbers": sign('{"exp":1e400}'),
  "iat null": sign({ iat: null }),
  "sub a number": sign({ sub: 5 }),
  "sub null": sign({ sub: null }),
  "sub empty": sign({ sub: "" }),
  "sub of 256 bytes": sign({ sub: "я".repeat(128) }),
  "sub half of a surrogate pair": sign('{"sub":"\\ud800"}'),
  "sub twice": sign('{"sub":"","sub":"b"}'),
  "topics no list": sign({ topics: "a" }),
  "topics null": sign({ topics: null }),
  "a wrong pattern": sign({ publish: ["a..b"] }),
  "too many patterns": sign({ topics: Array(600).fill("a"), publish: Array(600).fill("b") }),
  "info null": sign({ info: null }),
  "info of 1,024 bytes": sign({ info: "x".repeat(1_022) }),
  "info of 1,025 bytes": sign({ info: "x".repeat(1_023) }),
  "info nested": sign({ info: nested(400) }),
  "a critical extension": sign({}, { alg: "HS256", crit: ["b64"], b64: true }),
  "no algorithm": sign({}, {}),
  "algorithm none": sign({}, { alg: "none" }),
  "another algorithm": sign({}, { alg: "HS512" }),
  "claims in a list": sign([{}]),
  "claims not UTF-8": sign(Buffer.from([...Buffer.from('{"sub":"'), 0xff, ...Buffer.from('"}')])),
  "claims with a byte order mark": sign('\uFEFF{"sub":"a"}'),
  "header with a byte order mark": sign({}, '\uFEFF{"alg":"HS256"}'),
  padded: `${sign({ sub: "a" })}=`,
  // The last character of 32 bytes has two bits that no byte needs.
  "not canonical": sign({ sub: "a" }).replace(/.$/, (last) => String.fromCharCode((last.codePointAt(0) ?? 0) + 1)),
  "four parts": `${sign({})}.x`,
  "two parts": "a.b",
  "of another key": `${sign({ sub: "a" }).slice(0, -4)}AAAA`,
};
