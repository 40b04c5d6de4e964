import type { Steps } from "../data/steps.ts";
import { readArrayKey, readScalar, type Scalar } from "./scalars.ts";
import { Scanner } from "./scanner.ts";

/** Encodes a string as `s:<length>:"<bytes>";`, text as UTF-8. */
export function encodeString(value: string | Uint8Array): Buffer {
  const bytes = typeof value === "string" ? Buffer.from(value) : value;
  return Buffer.concat([Buffer.from(`s:${bytes.length}:"`), bytes, Buffer.from('";')]);
}

/** Encodes an integer of at most 64 bits as `i:<value>;`. */
export function encodeInt(value: number | bigint): Buffer {
  return Buffer.from(`i:${value};`);
}

/** Encodes an array with string keys. The values must be serialized already. */
export function encodeArray(entries: readonly (readonly [key: string, value: Uint8Array])[]): Buffer {
  const members = entries.flatMap(([key, value]) => [encodeString(key), value]);
  return Buffer.concat([Buffer.from(`a:${entries.length}:{`), ...members, Buffer.from("}")]);
}

/**
 * Reads the named entries of a serialized array that are scalars, without nested values and references. Results in
 * `undefined` if `data` is not exactly one array. `slot` is the array's value slot in the message from which it is cut.
 */
export function* readScalars(
  data: Uint8Array,
  slot: number,
  keys: readonly string[],
): Steps<ReadonlyMap<string, Scalar> | undefined> {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.length);
  const scanner = new Scanner(bytes, slot - 1);
  const scalars = new Map<string, Scalar>();
  for (let left = scanner.enterArray(); left !== 0; left--) {
    const keyStart = scanner.position;
    if (left < 0 || !scanner.skipKey()) return undefined;
    // A long text is walked in one step, and read in another.
    if (scanner.endsStep()) yield;
    const key = readArrayKey(bytes, keyStart, scanner) ?? "";
    const start = scanner.position;
    if (!(yield* scanner.skipValueInSteps())) return undefined;
    if (!keys.includes(key)) continue;
    if (scanner.endsStep()) yield;
    const scalar = readScalar(bytes, start, scanner);
    if (scalar === undefined) scalars.delete(key);
    else scalars.set(key, scalar);
  }
  return scanner.leave() && scanner.position === bytes.length ? scalars : undefined;
}
