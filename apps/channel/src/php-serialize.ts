import { Tokens } from "./php-tokens.ts";
import { isRefusedObject } from "./refused-objects.ts";

/** Deepest nesting of arrays and objects that is walked. PHP itself reads 4096 levels; nobody sends a tenth of that. */
export const maxDepth = 512;

/** Most values one message may hold. PHP needs at least 16 bytes of memory for each, in every receiver. */
export const maxSlots = 1_000_000;

/** A back-reference (`R:5;` or `r:5;`): its digits lie at `start`..`end` and name the value slot it points to. */
export type Reference = { start: number; end: number; slot: number };

// What #enter returns instead of a number of entries.
const leaf = -1;
const malformed = -2;

/**
 * Walks PHP-serialized values by their grammar without building them. What it accepts PHP's own `unserialize()` accepts,
 * so that it can be handed to a PHP process, which dies of anything else; the reverse holds for all that `serialize()`
 * writes within the limits above.
 *
 * Value slots are counted as PHP counts them for back-references: every value takes one, keys do not, `r:` does, `R:`
 * does not. Origin: php-src `ext/standard/var_unserializer.re`.
 *
 * Not checked, since it takes the receiver's classes: whether an object's class accepts its properties (but see
 * {@link isRefusedObject}), whether an enum case exists, and what is inside the opaque `C:` form (references behind one
 * cannot be checked against it either). Nor what a repeated key does to references to the value it replaces: PHP writes
 * no key twice.
 */
export class Scanner {
  /** Value slots met so far: also the number of the last one. */
  slots: number;
  /** A failure was due to {@link maxDepth} or {@link maxSlots}, not to the grammar. */
  isOverLimit = false;
  /** There was an object that PHP refuses to read by throwing. It is walked like any other. */
  hasRefusedObject = false;
  /** Every back-reference met so far, in order. */
  readonly references: Reference[] = [];
  readonly #bytes: Uint8Array;
  readonly #tokens: Tokens;
  readonly #slotsBefore: number;
  /** Slots that hold an object, ascending: only these may be the target of `r:`. */
  readonly #objectSlots: number[] = [];
  #hasOpaque = false;

  /**
   * `slotsBefore` is for bytes that are cut out of a message: how many slots that has in front of them. References to
   * these are refused.
   */
  constructor(bytes: Uint8Array, slotsBefore = 0) {
    this.#bytes = bytes;
    this.#tokens = new Tokens(bytes, bytes.length + slotsBefore);
    this.#slotsBefore = slotsBefore;
    this.slots = slotsBefore;
  }

  get position(): number {
    return this.#tokens.position;
  }

  /** Where the bytes of the last string, or the text of the last number or boolean, begin. */
  get contentStart(): number {
    return this.#tokens.contentStart;
  }

  get contentEnd(): number {
    return this.#tokens.contentEnd;
  }

  /** Walks one value, nested ones included. False if there is none: the position is then anywhere. */
  skipValue(): boolean {
    let entries = this.#enter();
    if (entries < 0) return entries === leaf;
    // Entries still to come in each open container. A stack of our own: hostile depth must not overflow the real one.
    const open: number[] = [];
    for (;;) {
      if (entries > 0) {
        entries--;
        if (!this.skipKey()) return false;
        const inner = this.#enter();
        if (inner === malformed) return false;
        if (inner === leaf) continue;
        open.push(entries);
        if (open.length >= maxDepth) return this.#refuseOverLimit();
        entries = inner;
      } else {
        if (!this.leave()) return false;
        const outer = open.pop();
        if (outer === undefined) return true;
        entries = outer;
      }
    }
  }

  /** Steps into the array at the position and returns its number of entries; -1 if there is none, or too large a one. */
  enterArray(maxEntries = maxSlots): number {
    if (this.#bytes[this.position] !== 0x61 /* a */) return -1;
    const entries = this.#enter();
    if (entries > maxEntries) this.isOverLimit = true;
    return this.isOverLimit ? -1 : Math.max(-1, entries);
  }

  /** Walks one key of an array or object; it takes no slot. */
  skipKey(): boolean {
    switch (this.#bytes[this.position]) {
      case 0x73 /* s */:
        return this.#tokens.skipString();
      case 0x69 /* i */:
        return this.#tokens.skipInteger();
      case 0x53 /* S */:
        return this.#tokens.skipEscapedString();
      default:
        return false;
    }
  }

  /** Steps out of an array or object. */
  leave(): boolean {
    return this.#tokens.leave();
  }

  /** Walks one scalar, or the head of a container: returns `leaf`, `malformed`, or how many entries follow. */
  #enter(): number {
    const type = this.#bytes[this.position];
    if (type === 0x52 /* R */) return this.#skipReference(false) ? leaf : malformed;
    this.slots++;
    if (this.slots - this.#slotsBefore > maxSlots) return this.#refuseOverLimit() ? leaf : malformed;
    switch (type) {
      case 0x61 /* a */:
        return orMalformed(this.#tokens.enterArray());
      case 0x4f /* O */:
        return orMalformed(this.#enterObject());
      default:
        return this.#skipLeaf(type) ? leaf : malformed;
    }
  }

  #enterObject(): number {
    this.#objectSlots.push(this.slots);
    const count = this.#tokens.enterObject();
    const className = this.#bytes.subarray(this.contentStart, this.contentEnd);
    if (count >= 0 && isRefusedObject(className, count)) this.hasRefusedObject = true;
    return count;
  }

  #skipLeaf(type: number | undefined): boolean {
    switch (type) {
      case 0x73 /* s */:
        return this.#tokens.skipString();
      case 0x69 /* i */:
        return this.#tokens.skipInteger();
      case 0x64 /* d */:
        return this.#tokens.skipFloat();
      case 0x62 /* b */:
        return this.#tokens.skipBoolean();
      case 0x4e /* N */:
        return this.#tokens.skipNull();
      case 0x72 /* r */:
        return this.#skipReference(true);
      case 0x53 /* S */:
        return this.#tokens.skipEscapedString();
      case 0x45 /* E */:
        this.#objectSlots.push(this.slots);
        return this.#tokens.skipEnumCase();
      case 0x43 /* C */:
        this.#objectSlots.push(this.slots);
        this.#hasOpaque = true;
        return this.#tokens.skipOpaqueObject();
      default:
        return false;
    }
  }

  /** `R:` may lead to any slot met so far, `r:` to an earlier one that holds an object. */
  #skipReference(isToObject: boolean): boolean {
    const slot = this.#tokens.readReference();
    if (slot <= this.#slotsBefore) return false;
    // Once an opaque object has hidden an unknown number of slots, there is nothing left to check against.
    if (!this.#hasOpaque) {
      if (slot > this.slots) return false;
      if (isToObject && (slot === this.slots || !includesSorted(this.#objectSlots, slot))) return false;
    }
    // It is that object again, so a later `r:` may lead here.
    if (isToObject) this.#objectSlots.push(this.slots);
    this.references.push({ start: this.contentStart, end: this.contentEnd, slot });
    return true;
  }

  #refuseOverLimit(): false {
    this.isOverLimit = true;
    return false;
  }
}

/** Whether the bytes are one serialized value and nothing else, which PHP can read in the given slot of a message. */
export function isWholeValue(bytes: Uint8Array, slot = 1): boolean {
  const scanner = new Scanner(bytes, slot - 1);
  return scanner.skipValue() && scanner.position === bytes.length && !scanner.hasRefusedObject;
}

function orMalformed(entries: number): number {
  return entries < 0 ? malformed : entries;
}

function includesSorted(ascending: readonly number[], wanted: number): boolean {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ascending[middle] ?? 0) < wanted) low = middle + 1;
    else high = middle;
  }
  return ascending[low] === wanted;
}
