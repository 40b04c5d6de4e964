import type { Reference } from "./scanner.ts";

/** One serialized value inside a buffer, with the back-references in it. */
export type ValueRange = { bytes: Buffer; start: number; end: number; references: readonly Reference[] };

/**
 * Rewrites the back-references of a value that moves from slot `from` of one message to slot `to` of another. A value
 * without references is returned as a view. Returns `undefined` if a reference points outside the value, as only in
 * forged messages.
 */
export function shiftReferences(value: ValueRange, from: number, to: number): Buffer | undefined {
  const { bytes, start, end, references } = value;
  let length = end - start;
  for (const reference of references) {
    if (reference.slot < from) return undefined;
    length += String(reference.slot - from + to).length - (reference.end - reference.start);
  }
  if (from === to || references.length === 0) return bytes.subarray(start, end);
  const shifted = Buffer.allocUnsafe(length);
  let copied = start;
  let offset = 0;
  for (const reference of references) {
    offset += bytes.copy(shifted, offset, copied, reference.start);
    offset += shifted.write(String(reference.slot - from + to), offset, "latin1");
    copied = reference.end;
  }
  bytes.copy(shifted, offset, copied, end);
  return shifted;
}
