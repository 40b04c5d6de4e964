import { finishSteps, type Steps } from "../data/steps.ts";
import { type ClassRule, defaultClasses } from "./classes.ts";
import { DistinctKeys } from "./distinct-keys.ts";
import { isIntegerInRange, isPropertyName, readArrayKey } from "./scalars.ts";
import { Tokens } from "./tokens.ts";
import { isEntryAt, type ObjectForm, valueForm } from "./value-objects.ts";

/** Maximum nesting of arrays and objects. PHP itself reads 4096 levels. */
export const maxDepth = 512;

/** Maximum values in one message. Each costs every PHP receiver at least 16 bytes. */
export const maxSlots = 1_000_000;

/**
 * Maximum weight of one message: its non-empty arrays, its objects and references with their weights, and keys that are
 * compared with each other. Each costs a receiver about 400 bytes, and PHP ends a process beyond its `memory_limit`,
 * which is 128 MB by default.
 */
export const maxWeight = 100_000;

/** Entries of arrays and objects, and their bytes, that are walked in one step. */
const ENTRIES_PER_STEP = 1_000;
const BYTES_PER_STEP = 1_048_576;

/** Weight of an object, because its class and its property names are checked. */
const objectWeight = 2;

/** Weight of a reference, because the slot to which it points is looked up. */
const referenceWeight = 2;

/** Further weight of an object of PHP's own value classes. PHP builds it from an array, and we check its text. */
const valueWeight = 6;

/** A back-reference (`R:5;` or `r:5;`). Its digits are at `start`..`end`, and `slot` is the value slot it points to. */
export type Reference = { start: number; end: number; slot: number };

// Negative results of #enter. The others are numbers of entries.
const leaf = -1;
const malformed = -2;

/**
 * Walks PHP-serialized values by their grammar without building them. PHP's own `unserialize()` accepts whatever this
 * accepts. The reverse holds for everything that `serialize()` writes within the limits above.
 *
 * Value slots are counted as PHP counts them for back-references: every value takes one, keys take none, `r:` takes
 * one, `R:` takes none. Origin: php-src `ext/standard/var_unserializer.re`.
 *
 * {@link hasUnsafeValue} and {@link refusedClass} report values that match the grammar and may still end a PHP
 * receiver.
 */
export class Scanner {
  /** Number of value slots so far, which is also the number of the last one. */
  slots: number;
  /** Whether a limit such as {@link maxDepth} caused the failure, not the grammar. */
  isOverLimit = false;
  /** The class of the first object that the rule does not allow and that is no well-formed value of PHP itself. */
  refusedClass: string | undefined;
  /**
   * Set by a value that may end a PHP process that reads it:
   *
   * - an enum case or `C:` object, which depend on the receiver's classes
   * - an integer beyond 64 bits
   * - a corrupt property name
   * - a reference to an entry of one of PHP's value objects
   * - with `checksKeys`, a key that occurs twice, because PHP drops the first value and the references to it
   * - with `checksKeys`, keys that are too costly to compare
   */
  hasUnsafeValue = false;
  /** All back-references so far, in order. */
  readonly references: Reference[] = [];
  readonly #bytes: Uint8Array;
  #bytesAsBuffer: Buffer | undefined;
  readonly #tokens: Tokens;
  readonly #slotsBefore: number;
  /** Slots that hold an object, ascending. Only these may be the target of `r:`. */
  readonly #objectSlots: number[] = [];
  /** Slots of the entries of PHP's own value objects, ascending. PHP refuses the object if one is a reference. */
  readonly #entrySlots: number[] = [];
  #hasOpaque = false;
  #stepEntries = 0;
  #stepEnd = BYTES_PER_STEP;
  #weight = 0;
  #isInObject = false;
  /** The form in which the object just entered must be written. */
  #form: ObjectForm | undefined;
  readonly #allowsClass: ClassRule;
  readonly #checksKeys: boolean;

  /**
   * `slotsBefore` is the number of slots in front of `bytes` when they are cut out of a message. References to these
   * slots are refused.
   */
  constructor(bytes: Uint8Array, slotsBefore = 0, allowsClass: ClassRule = defaultClasses, checksKeys = false) {
    this.#allowsClass = allowsClass;
    this.#checksKeys = checksKeys;
    this.#bytes = bytes;
    this.#tokens = new Tokens(bytes, bytes.length + slotsBefore);
    this.#slotsBefore = slotsBefore;
    this.slots = slotsBefore;
  }

  get position(): number {
    return this.#tokens.position;
  }

  /** Start of the bytes of the last string, or of the text of the last number or boolean. */
  get contentStart(): number {
    return this.#tokens.contentStart;
  }

  get contentEnd(): number {
    return this.#tokens.contentEnd;
  }

  /** The bytes as a buffer, made when the first object or checked key needs it. */
  get #buffer(): Buffer {
    this.#bytesAsBuffer ??= Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.length);
    return this.#bytesAsBuffer;
  }

  /**
   * Walks one value including nested ones. Returns false if it is malformed or over a limit. `position` has no meaning
   * then.
   */
  skipValue(): boolean {
    const entries = this.#enter();
    return entries < 0 ? entries === leaf : finishSteps(this.#skipEntries(entries));
  }

  /** Walks one value like {@link skipValue}, in steps, because a value with very many entries takes long. */
  *skipValueInSteps(): Steps<boolean> {
    const entries = this.#enter();
    return entries < 0 ? entries === leaf : yield* this.#skipEntries(entries);
  }

  /** Walks the entries of the container just entered, and leaves it. */
  *#skipEntries(count: number): Steps<boolean> {
    let entries = count;
    // Containers around the current one. An explicit stack, because hostile nesting would overflow the call stack.
    const open: OpenContainer[] = [];
    let { isObject, form, keys } = this.#opened();
    for (;;) {
      if (this.endsStep()) yield;
      if (entries > 0) {
        const keyStart = this.position;
        if (form !== undefined) this.#checkEntry(keyStart, form, entries);
        entries--;
        if (!this.skipKey()) return false;
        if (isObject || keys !== undefined) this.#checkKey(keyStart, isObject, keys);
        const inner = this.#enter();
        if (inner === malformed) return false;
        if (inner === leaf) continue;
        open.push({ entries, isObject, form, keys });
        if (open.length >= maxDepth) return this.#refuseOverLimit();
        ({ isObject, form, keys } = this.#opened());
        entries = inner;
      } else {
        if (!this.leave()) return false;
        const outer = open.pop();
        if (outer === undefined) return true;
        ({ entries, isObject, form, keys } = outer);
      }
    }
  }

  /** Enters the array at the position. Returns its number of entries, or -1 if there is no array or it has too many. */
  enterArray(maxEntries = maxSlots): number {
    if (this.#bytes[this.position] !== 0x61 /* a */) return -1;
    const entries = this.#enter();
    if (entries > maxEntries) this.isOverLimit = true;
    return this.isOverLimit ? -1 : Math.max(-1, entries);
  }

  /**
   * Returns whether the caller must end its step here. Every walk over entries must call it for each entry, so that
   * one count covers nested walks.
   */
  endsStep(): boolean {
    if (++this.#stepEntries < ENTRIES_PER_STEP && this.position < this.#stepEnd) return false;
    this.#stepEntries = 0;
    this.#stepEnd = this.position + BYTES_PER_STEP;
    return true;
  }

  /** Walks one key of an array or object. A key takes no slot. */
  skipKey(): boolean {
    switch (this.#bytes[this.position]) {
      case 0x73 /* s */:
        return this.#tokens.skipString();
      case 0x69 /* i */:
        return this.#skipInteger();
      case 0x53 /* S */:
        return this.#tokens.skipEscapedString();
      default:
        return false;
    }
  }

  /** Leaves an array or object. */
  leave(): boolean {
    return this.#tokens.leave();
  }

  /** Walks one scalar or the head of a container. Returns `leaf`, `malformed`, or the number of entries that follow. */
  #enter(): number {
    const type = this.#bytes[this.position];
    if (type === 0x52 /* R */) return this.#skipReference(false) ? leaf : malformed;
    this.slots++;
    if (this.slots - this.#slotsBefore > maxSlots) return this.#refuseOverLimit() ? leaf : malformed;
    switch (type) {
      case 0x61 /* a */:
        this.#isInObject = false;
        this.#form = undefined;
        return this.#enterArrayValue();
      case 0x4f /* O */:
        return this.#enterObject();
      default:
        return this.#skipLeaf(type) ? leaf : malformed;
    }
  }

  #enterObject(): number {
    this.#objectSlots.push(this.slots);
    if (!this.#weigh(objectWeight)) return malformed;
    const count = this.#tokens.enterObject();
    const { contentStart, contentEnd } = this;
    this.#isInObject = true;
    this.#form = undefined;
    if (count >= 0 && this.refusedClass === undefined) this.#checkClass(contentStart, contentEnd, count);
    return count < 0 ? malformed : count;
  }

  #checkClass(start: number, end: number, count: number): void {
    const name = this.#buffer.toString("latin1", start, end);
    if (this.#allowsClass(name)) return;
    const form = valueForm(name);
    if (form?.entries.length === count) {
      this.#form = form;
      this.#weight += valueWeight;
    } else this.refusedClass = name;
  }

  /** Checks the entry at the position. `left` is the number of entries from there to the end of the object. */
  #checkEntry(position: number, form: ObjectForm, left: number): void {
    const { className, entries } = form;
    this.#entrySlots.push(this.slots + 1);
    if (!isEntryAt(this.#buffer, position, entries[entries.length - left])) this.refusedClass ??= className;
  }

  #enterArrayValue(): number {
    const entries = this.#tokens.enterArray();
    if (entries < 0) return malformed;
    return entries === 0 || this.#weigh(1) ? entries : malformed;
  }

  /** Adds to the weight of the message. Returns false if it exceeds {@link maxWeight}. */
  #weigh(weight: number): boolean {
    this.#weight += weight;
    return this.#weight <= maxWeight || this.#refuseOverLimit();
  }

  /** Returns the state that is needed to check the keys of the container just entered. */
  #opened(): Omit<OpenContainer, "entries"> {
    return { isObject: this.#isInObject, form: this.#form, keys: this.#checksKeys ? new DistinctKeys() : undefined };
  }

  /** Checks the key that was walked last. */
  #checkKey(start: number, isObject: boolean, keys: DistinctKeys | undefined): void {
    if (this.hasUnsafeValue) return;
    const isPlain = this.#bytes[start] !== 0x53; /* S */
    if (isPlain && keys === undefined) {
      if (!isPropertyName(this.#bytes, this.contentStart, this.contentEnd)) this.hasUnsafeValue = true;
      return;
    }
    const isInteger = this.#bytes[start] === 0x69; /* i */
    if (isInteger && !isObject && keys?.addNext(this.#bytes, this.contentStart, this.contentEnd)) return;
    const key = readArrayKey(this.#buffer, start, this) ?? "";
    if (isObject && !isPropertyName(Buffer.from(key, "latin1"), 0, key.length)) this.hasUnsafeValue = true;
    if (keys?.add(key) === false || !this.#weigh(1)) this.hasUnsafeValue = true;
  }

  #skipLeaf(type: number | undefined): boolean {
    switch (type) {
      case 0x73 /* s */:
        return this.#tokens.skipString();
      case 0x69 /* i */:
        return this.#skipInteger();
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
        this.hasUnsafeValue = true;
        this.#objectSlots.push(this.slots);
        return this.#tokens.skipEnumCase();
      case 0x43 /* C */:
        this.hasUnsafeValue = true;
        this.#objectSlots.push(this.slots);
        this.#hasOpaque = true;
        return this.#tokens.skipOpaqueObject();
      default:
        return false;
    }
  }

  /** Walks a reference. `R:` may point to any earlier slot, `r:` to an earlier slot that holds an object. */
  #skipReference(isToObject: boolean): boolean {
    const slot = this.#tokens.readReference();
    if (slot <= this.#slotsBefore || !this.#weigh(referenceWeight)) return false;
    // A `C:` object contains an unknown number of slots, so later slot numbers cannot be checked.
    if (!this.#hasOpaque) {
      if (slot > this.slots) return false;
      if (isToObject && (slot === this.slots || !includesSorted(this.#objectSlots, slot))) return false;
    }
    if (!isToObject && includesSorted(this.#entrySlots, slot)) this.hasUnsafeValue = true;
    // The slot holds the object too, so a later `r:` may point here.
    if (isToObject) this.#objectSlots.push(this.slots);
    this.references.push({ start: this.contentStart, end: this.contentEnd, slot });
    return true;
  }

  #skipInteger(): boolean {
    if (!this.#tokens.skipInteger()) return false;
    if (!isIntegerInRange(this.#bytes, this.contentStart, this.contentEnd)) this.hasUnsafeValue = true;
    return true;
  }

  #refuseOverLimit(): false {
    this.isOverLimit = true;
    return false;
  }
}

type OpenContainer = {
  readonly entries: number;
  readonly isObject: boolean;
  readonly form: ObjectForm | undefined;
  readonly keys: DistinctKeys | undefined;
};

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
