import { finishSteps, type Steps } from "../data/steps.ts";
import { type ClassRule, defaultClasses } from "../php/classes.ts";
import { shiftReferences } from "../php/references.ts";
import { hasSafeKeys } from "../php/safe-values.ts";
import { readArrayKey } from "../php/scalars.ts";
import { Scanner } from "../php/scanner.ts";
import { replyDataSlot } from "./server-message.ts";

/** Types of requests. Origin: walkor/channel `src/Server.php`. */
type RequestType =
  | "subscribe"
  | "unsubscribe"
  | "publish"
  | "publishLoop"
  | "watch"
  | "unwatch"
  | "enqueue"
  | "reserve";

/** A channel or queue name as a peer wrote it. */
export type Name = {
  /** Identity as key of a PHP array, one character per byte. `i:5;` and `s:1:"5";` are equal, "05" differs. */
  key: string;
  /** Serialized form. It is a view of the payload and must be copied to be kept. */
  raw: Buffer;
};

export type Request = {
  type: RequestType;
  /** Names in the given order, including repetitions. Empty for `reserve`. */
  channels: Name[];
  /**
   * Serialized value to pass on, with back-references numbered for our replies. `N;` if the message has none or the
   * request needs none. It is a view of the payload unless references were renumbered.
   */
  data: Buffer;
};

/** A message without effect. The connection stays open. */
export type IgnoredRequest = {
  type: "ignored";
  reason:
    | "malformed"
    | "over-limit"
    | "not-an-array"
    | "unknown-type"
    | "no-channels"
    | "reference-outside-data"
    | "unsafe-value"
    | "class-not-allowed";
  /** With `class-not-allowed`: the class, one character a byte. */
  className?: string;
};

/** A message that ends the original server. No real client sends one. */
export type HostileRequest = {
  type: "hostile";
  reason: "string-payload" | "object-payload" | "name-not-scalar";
};

const requestTypes: readonly RequestType[] = [
  "publish",
  "subscribe",
  "enqueue",
  "reserve",
  "publishLoop",
  "unsubscribe",
  "watch",
  "unwatch",
];

/**
 * Maximum names in one message. A reconnecting client subscribes to all its names in one message. Each costs us 200
 * bytes.
 */
export const maxNames = 250_000;

const phpNull = Buffer.from("N;");
const reference = 0x52; /* R */

export type Parsed = Request | IgnoredRequest | HostileRequest;

/**
 * Parses one message of a peer. Never throws. As in the original, keys may have any order, and the last of repeated
 * keys counts. Unknown keys, and bytes after the end, are ignored.
 *
 * Values are passed on as the peer wrote them. The original decodes and encodes them, so a receiver may get another
 * notation of the same value here (`d:1.50;` for `d:1.5;`).
 */
export function parseRequest(payload: Buffer, allowsClass: ClassRule = defaultClasses): Parsed {
  return finishSteps(parseInSteps(payload, allowsClass));
}

/**
 * Parses like {@link parseRequest}, in steps, because a message with very many names or values takes longer than one
 * tick may.
 */
export function* parseInSteps(payload: Buffer, allowsClass: ClassRule): Steps<Parsed> {
  const scanner = new Scanner(payload, 0, allowsClass);
  const entries = scanner.enterArray();
  if (entries < 0) return yield* refusePayload(payload);
  const found: Found = { type: undefined, channels: "no-channels", data: phpNull, isDataUnsafe: false };
  for (let left = entries; left > 0; left--) {
    if (scanner.endsStep()) yield;
    if (!scanner.skipKey()) return refuseUnreadable(scanner);
    const isRead = hasContent(payload, scanner, "channels")
      ? yield* readChannels(payload, scanner, found)
      : yield* readEntry(payload, scanner, found);
    if (!isRead) return refuseUnreadable(scanner);
  }
  if (!scanner.leave()) return refuseUnreadable(scanner);
  if (scanner.hasUnsafeValue || found.isDataUnsafe) return { type: "ignored", reason: "unsafe-value" };
  const className = scanner.refusedClass;
  return className === undefined ? decide(found) : { type: "ignored", reason: "class-not-allowed", className };
}

/** Entries of the message that are parsed so far. */
type Found = {
  type: RequestType | undefined;
  channels: Name[] | "no-channels" | "name-not-scalar";
  /** `undefined` if the data refers to values outside itself. */
  data: Buffer | undefined;
  isDataUnsafe: boolean;
};

function decide({ type, channels, data }: Found): Request | IgnoredRequest | HostileRequest {
  if (type === undefined) return { type: "ignored", reason: "unknown-type" };
  if (type === "reserve") return { type, channels: [], data: phpNull };
  if (channels === "no-channels") return { type: "ignored", reason: "no-channels" };
  if (channels === "name-not-scalar") return { type: "hostile", reason: "name-not-scalar" };
  if (type !== "publish" && type !== "publishLoop" && type !== "enqueue") return { type, channels, data: phpNull };
  return data === undefined ? { type: "ignored", reason: "reference-outside-data" } : { type, channels, data };
}

// Each of these returns false when the bytes cannot be read.

function* readEntry(payload: Buffer, scanner: Scanner, found: Found): Steps<boolean> {
  if (hasContent(payload, scanner, "data")) return yield* readData(payload, scanner, found);
  if (hasContent(payload, scanner, "type")) return yield* readType(payload, scanner, found);
  return yield* scanner.skipValueInSteps();
}

function* readType(payload: Buffer, scanner: Scanner, found: Found): Steps<boolean> {
  const start = scanner.position;
  if (!(yield* scanner.skipValueInSteps())) return false;
  // Only a string is a type. The loose comparison of the original, by which `true` subscribes, is not copied.
  const isString = payload[start] === 0x73; /* s */
  found.type = isString ? requestTypes.find((type) => hasContent(payload, scanner, type)) : undefined;
  return true;
}

function* readData(payload: Buffer, scanner: Scanner, found: Found): Steps<boolean> {
  const start = scanner.position;
  const slot = scanner.slots + 1;
  const earlier = scanner.references.length;
  if (!(yield* scanner.skipValueInSteps())) return false;
  const end = scanner.position;
  if (scanner.references.length === earlier) {
    found.data = payload.subarray(start, end);
    found.isDataUnsafe = false;
  } else {
    const references = scanner.references.slice(earlier);
    found.data = shiftReferences({ bytes: payload, start, end, references }, slot, replyDataSlot);
    const value = payload.subarray(start, end);
    found.isDataUnsafe = found.data !== undefined && !(yield* hasSafeKeys(value, slot));
  }
  return true;
}

function* readChannels(payload: Buffer, scanner: Scanner, found: Found): Steps<boolean> {
  found.channels = "no-channels";
  if (payload[scanner.position] !== 0x61 /* a */) return yield* scanner.skipValueInSteps();
  const firstSlot = scanner.slots + 2;
  const earlier = scanner.references.length;
  const names: Name[] = [];
  let areScalar = true;
  for (let left = scanner.enterArray(maxNames); left !== 0; left--) {
    if (left < 0 || !scanner.skipKey()) return false;
    const start = scanner.position;
    if (!(yield* scanner.skipValueInSteps())) return false;
    // A long name is walked in one step, and read in another.
    if (scanner.endsStep()) yield;
    // The original ignores a message with an enum case as a name. Arrays and objects end it.
    if (payload[start] === 0x45 /* E */) return false;
    const key = payload[start] === reference ? "" : readArrayKey(payload, start, scanner);
    if (key === undefined) areScalar = false;
    else names.push({ key, raw: payload.subarray(start, scanner.position) });
  }
  found.channels = areScalar ? names : "name-not-scalar";
  const hasReferences = areScalar && scanner.references.length > earlier;
  return scanner.leave() && (!hasReferences || resolveNames(names, firstSlot));
}

/** Replaces names like `R:4;`, which PHP writes for a second reference to one variable, by the names they point to. */
function resolveNames(names: Name[], firstSlot: number): boolean {
  const slotNames = names.filter(({ raw }) => raw[0] !== reference);
  for (const [index, { raw }] of names.entries()) {
    if (raw[0] !== reference) continue;
    const name = slotNames[Number(raw.toString("latin1", 2, raw.length - 1)) - firstSlot];
    if (name === undefined) return false;
    names[index] = name;
  }
  return true;
}

/** Returns whether the string or number that was walked last has this text. */
function hasContent(payload: Buffer, scanner: Scanner, text: string): boolean {
  const { contentStart, contentEnd } = scanner;
  if (contentEnd - contentStart !== text.length) return false;
  for (let index = 0; index < text.length; index++) {
    if (payload[contentStart + index] !== text.charCodeAt(index)) return false;
  }
  return true;
}

function* refusePayload(payload: Buffer): Steps<IgnoredRequest | HostileRequest> {
  const scanner = new Scanner(payload);
  if (!(yield* scanner.skipValueInSteps())) return refuseUnreadable(scanner);
  switch (payload[0]) {
    case 0x73 /* s */:
    case 0x53 /* S */:
      return { type: "hostile", reason: "string-payload" };
    case 0x4f /* O */:
    case 0x43 /* C */:
      return { type: "hostile", reason: "object-payload" };
    default:
      return { type: "ignored", reason: "not-an-array" };
  }
}

function refuseUnreadable(scanner: Scanner): IgnoredRequest {
  return { type: "ignored", reason: scanner.isOverLimit ? "over-limit" : "malformed" };
}
