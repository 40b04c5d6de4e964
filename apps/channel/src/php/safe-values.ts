import { finishSteps, type Steps } from "../data/steps.ts";
import { type ClassRule, defaultClasses } from "./classes.ts";
import { Scanner } from "./scanner.ts";

/** Returns whether the bytes are one serialized value that every PHP reads, at the given slot of a message. */
export function isWholeValue(bytes: Uint8Array, slot = 1, allowsClass: ClassRule = defaultClasses): boolean {
  const scanner = new Scanner(bytes, slot - 1, allowsClass);
  if (!scanner.skipValue() || scanner.position !== bytes.length || scanner.refusedClass !== undefined) return false;
  return finishSteps(isSafe(scanner, bytes, slot));
}

/**
 * Returns whether every PHP reads the value at the given slot of a message, apart from objects of a refused class. The
 * scanner must have walked the value.
 */
export function* isSafe(scanner: Scanner, value: Uint8Array, slot: number): Steps<boolean> {
  if (scanner.hasUnsafeValue) return false;
  return scanner.references.length === 0 || (yield* hasSafeKeys(value, slot));
}

/**
 * Returns whether no key occurs twice in a value with references. PHP forgets the first value of such a key, and the
 * references to it.
 */
export function* hasSafeKeys(value: Uint8Array, slot: number): Steps<boolean> {
  // The caller has just walked the value, which may have ten megabytes.
  yield;
  const keyScanner = new Scanner(value, slot - 1, undefined, true);
  return (yield* keyScanner.skipValueInSteps()) && !keyScanner.hasUnsafeValue;
}
