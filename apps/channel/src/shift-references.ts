import type { Reference } from "./php-serialize.ts";

/** One serialized value inside a buffer, and the back-references in it. */
export type ValueRange = { bytes: Buffer; start: number; end: number; references: readonly Reference[] };

/**
 * The bytes of a value whose own slot was `from`, rewritten for a message where it is slot `to`: only the numbers of its
 * back-references change. Without any it is a view of the original bytes. `undefined` if a reference points outside the
 * value, which only forged messages have.
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
