import { type ClassRule, onlyStdClass } from "./php-classes.ts";
import { readArrayKey } from "./php-scalars.ts";
import { hasSafeKeys, Scanner } from "./php-serialize.ts";
import { replyDataSlot } from "./replies.ts";
import { shiftReferences } from "./shift-references.ts";

/** What a peer may ask for. Origin: walkor/channel `src/Server.php`. */
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
  /** Its identity as key of a PHP array, one character per byte: `i:5;` and `s:1:"5";` are the same, "05" is another. */
  key: string;
  /** The serialized form. A view of the payload: who keeps it copies it. */
  raw: Buffer;
};

export type Request = {
  type: RequestType;
  /** In the order given, repetitions included. Empty for `reserve`. */
  channels: Name[];
  /**
   * The serialized value to pass on, its back-references numbered for the place it has in our replies; `N;` where none
   * was sent or the request has no use for it. A view of the payload unless references had to be renumbered.
   */
  data: Buffer;
};

/** A message without effect, in the original too but for forged references; the connection stays usable. */
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

/** A message of which the original server dies. No real client sends one. */
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

/** Most names in one message. A peer that comes back sends all it ever subscribed to in one; each costs us 200 bytes. */
export const maxNames = 250_000;

const phpNull = Buffer.from("N;");
const reference = 0x52; /* R */

export type Parsed = Request | IgnoredRequest | HostileRequest;

/** Names that are read in one step. */
const NAMES_PER_STEP = 1_000;

/**
 * Reads one message of a peer. Never throws. Keys may come in any order and unknown ones are skipped, of repeated ones
 * the last counts, bytes after the end do not: all as in the original.
 *
 * Values go on as the peer wrote them, where the original decodes and encodes them again: receivers get the same value,
 * if perhaps in another notation (`d:1.50;` for `d:1.5;`).
 */
export function parseRequest(payload: Buffer, allowsClass: ClassRule = onlyStdClass): Parsed {
  const steps = parseInSteps(payload, allowsClass);
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

/** As {@link parseRequest}, in steps: a message with very many names takes longer than one tick may. */
export function* parseInSteps(payload: Buffer, allowsClass: ClassRule): Generator<void, Parsed> {
  const scanner = new Scanner(payload, 0, allowsClass);
  const entries = scanner.enterArray();
  if (entries < 0) return refusePayload(payload);
  const found: Found = { type: undefined, channels: "no-channels", data: phpNull, isDataUnsafe: false };
  for (let left = entries; left > 0; left--) {
    if (!scanner.skipKey()) return refuseUnreadable(scanner);
    const isRead = hasContent(payload, scanner, "channels")
      ? yield* readChannels(payload, scanner, found)
      : readEntry(payload, scanner, found);
    if (!isRead) return refuseUnreadable(scanner);
  }
  if (!scanner.leave()) return refuseUnreadable(scanner);
  if (scanner.hasUnsafeValue || found.isDataUnsafe) return { type: "ignored", reason: "unsafe-value" };
  const className = scanner.refusedClass;
  return className === undefined ? decide(found) : { type: "ignored", reason: "class-not-allowed", className };
}

/** What a message has said so far. */
type Found = {
  type: RequestType | undefined;
  channels: Name[] | "no-channels" | "name-not-scalar";
  /** `undefined`: there is data, but it refers to something outside itself. */
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

function readEntry(payload: Buffer, scanner: Scanner, found: Found): boolean {
  if (hasContent(payload, scanner, "data")) return readData(payload, scanner, found);
  if (hasContent(payload, scanner, "type")) return readType(payload, scanner, found);
  return scanner.skipValue();
}

function readType(payload: Buffer, scanner: Scanner, found: Found): boolean {
  const start = scanner.position;
  if (!scanner.skipValue()) return false;
  // Anything but a string is no type: the loose comparison by which `true` would subscribe is not copied.
  const isString = payload[start] === 0x73; /* s */
  found.type = isString ? requestTypes.find((type) => hasContent(payload, scanner, type)) : undefined;
  return true;
}

function readData(payload: Buffer, scanner: Scanner, found: Found): boolean {
  const start = scanner.position;
  const slot = scanner.slots + 1;
  const earlier = scanner.references.length;
  if (!scanner.skipValue()) return false;
  const end = scanner.position;
  if (scanner.references.length === earlier) {
    found.data = payload.subarray(start, end);
    found.isDataUnsafe = false;
  } else {
    const references = scanner.references.slice(earlier);
    found.data = shiftReferences({ bytes: payload, start, end, references }, slot, replyDataSlot);
    found.isDataUnsafe = found.data !== undefined && !hasSafeKeys(scanner, payload.subarray(start, end), slot);
  }
  return true;
}

function* readChannels(payload: Buffer, scanner: Scanner, found: Found): Generator<void, boolean> {
  found.channels = "no-channels";
  if (payload[scanner.position] !== 0x61 /* a */) return scanner.skipValue();
  const firstSlot = scanner.slots + 2;
  const earlier = scanner.references.length;
  const names: Name[] = [];
  let areScalar = true;
  for (let left = scanner.enterArray(maxNames); left !== 0; left--) {
    if (left < 0 || !scanner.skipKey()) return false;
    const start = scanner.position;
    if (!scanner.skipValue()) return false;
    // The original cannot read an enum case, so it ignores the message; arrays and objects are its end.
    if (payload[start] === 0x45 /* E */) return false;
    const key = payload[start] === reference ? "" : readArrayKey(payload, start, scanner);
    if (key === undefined) areScalar = false;
    else names.push({ key, raw: payload.subarray(start, scanner.position) });
    if (left % NAMES_PER_STEP === 0) yield;
  }
  found.channels = areScalar ? names : "name-not-scalar";
  const hasReferences = areScalar && scanner.references.length > earlier;
  return scanner.leave() && (!hasReferences || resolveNames(names, firstSlot));
}

/** Replaces names like `R:4;`, which PHP writes for the second of two references to one variable, by what they refer to. */
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

/** Whether the string or number just walked over has this text. */
function hasContent(payload: Buffer, scanner: Scanner, text: string): boolean {
  const { contentStart, contentEnd } = scanner;
  if (contentEnd - contentStart !== text.length) return false;
  for (let index = 0; index < text.length; index++) {
    if (payload[contentStart + index] !== text.charCodeAt(index)) return false;
  }
  return true;
}

function refusePayload(payload: Buffer): IgnoredRequest | HostileRequest {
  const scanner = new Scanner(payload);
  if (!scanner.skipValue()) return refuseUnreadable(scanner);
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
