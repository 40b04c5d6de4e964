import fc from "fast-check";

/** A PHP value that a test builds. `again` and `reference` point to an earlier object or value. */
export type PhpTree =
  | { type: "null" }
  | { type: "bool"; value: boolean }
  | { type: "int"; value: bigint }
  | { type: "float"; text: string }
  | { type: "string"; bytes: Uint8Array; isEscaped: boolean }
  | { type: "array"; entries: [PhpTree, PhpTree][] }
  | { type: "object"; className: string; entries: [PhpTree, PhpTree][] }
  | { type: "enum" }
  | { type: "opaque"; bytes: Uint8Array }
  | { type: "again"; pick: number }
  | { type: "reference"; pick: number };

const string = fc
  .tuple(fc.uint8Array({ maxLength: 12 }), fc.nat(5))
  .map(([bytes, dice]): PhpTree => ({ type: "string", bytes, isEscaped: dice === 0 }));

// Bytes that would end a value if the scanner read them as grammar.
const trap = fc
  .constantFrom('";}', "R:9;", '";s:1:"', "}}", "r:5;", "")
  .map((text): PhpTree => ({ type: "string", bytes: Buffer.from(text), isEscaped: false }));

const int = fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n).map((value): PhpTree => ({ type: "int", value }));

const float = fc
  .oneof(fc.constantFrom("INF", "-INF", "NAN", "-0", "1.0E+25", "1.", ".5", "+3e-7"), fc.double().map(phpFloat))
  .map((text): PhpTree => ({ type: "float", text }));

const scalar: fc.Arbitrary<PhpTree> = fc.oneof(
  fc.constant<PhpTree>({ type: "null" }),
  fc.boolean().map((value): PhpTree => ({ type: "bool", value })),
  int,
  float,
  string,
  trap,
);

const back: fc.Arbitrary<PhpTree> = fc.oneof(
  fc.nat().map((pick): PhpTree => ({ type: "again", pick })),
  fc.nat().map((pick): PhpTree => ({ type: "reference", pick })),
);

const special: fc.Arbitrary<PhpTree> = fc.oneof(
  fc.constant<PhpTree>({ type: "enum" }),
  fc.uint8Array({ maxLength: 6 }).map((bytes): PhpTree => ({ type: "opaque", bytes })),
);

const className = fc.constantFrom("stdClass", "App\\User", "a", "Füße\x80");

/** Any PHP value, with all elements of the serialization format. */
export const phpTree: fc.Arbitrary<PhpTree> = fc.letrec<{ value: PhpTree }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5, withCrossShrink: true },
    { weight: 5, arbitrary: scalar },
    { weight: 2, arbitrary: back },
    { weight: 1, arbitrary: special },
    { weight: 4, arbitrary: entries(tie("value")).map((entries): PhpTree => ({ type: "array", entries })) },
    {
      weight: 3,
      arbitrary: fc
        .tuple(className, entries(tie("value")))
        .map(([className, entries]): PhpTree => ({ type: "object", className, entries })),
    },
  ),
})).value;

/** Returns whether every PHP reads the value with any classes. */
export function isSafeTree(tree: PhpTree): boolean {
  if (tree.type === "enum" || tree.type === "opaque") return false;
  if (tree.type !== "array" && tree.type !== "object") return true;
  const areKeysSafe = tree.type === "array" || tree.entries.every(([key]) => !("bytes" in key) || key.bytes[0] !== 0);
  return areKeysSafe && tree.entries.every(([, value]) => isSafeTree(value));
}

function entries(value: fc.Arbitrary<PhpTree>): fc.Arbitrary<[PhpTree, PhpTree][]> {
  const entry = fc.tuple(fc.oneof(int, string, trap), value);
  return fc.uniqueArray(entry, { maxLength: 5, selector: ([key]) => arrayKey(key) });
}

function arrayKey(key: PhpTree): string {
  return key.type === "string" ? Buffer.from(key.bytes).toString("latin1") : "value" in key ? String(key.value) : "";
}

function phpFloat(value: number): string {
  if (Number.isNaN(value)) return "NAN";
  if (!Number.isFinite(value)) return value > 0 ? "INF" : "-INF";
  return Object.is(value, -0) ? "-0" : String(value).replace("e", "E");
}

export type Serialized = { bytes: Buffer; slots: number; references: number };

/** Serializes a tree as PHP would inside a message that has `slotsBefore` value slots in front of it. */
export function serializeTree(tree: PhpTree, slotsBefore = 0): Serialized {
  const parts: Buffer[] = [];
  const objects: number[] = [];
  let slots = slotsBefore;
  let references = 0;

  function write(text: string | Uint8Array): void {
    parts.push(typeof text === "string" ? Buffer.from(text, "latin1") : Buffer.from(text));
  }

  function writeString(bytes: Uint8Array, isEscaped: boolean): void {
    write(`${isEscaped ? "S" : "s"}:${bytes.length}:"`);
    for (const byte of isEscaped ? bytes : []) {
      write(byte % 3 === 0 || byte === 0x5c ? `\\${byte.toString(16).padStart(2, "0")}` : Uint8Array.of(byte));
    }
    if (!isEscaped) write(bytes);
    write('";');
  }

  function writeEntries(entries: [PhpTree, PhpTree][]): void {
    write(`${entries.length}:{`);
    for (const [key, value] of entries) {
      if (key.type === "int") write(`i:${key.value};`);
      if (key.type === "string") writeString(key.bytes, key.isEscaped);
      writeValue(value);
    }
    write("}");
  }

  function writeBack(kind: "r" | "R", targets: readonly number[], pick: number): void {
    const target = targets[pick % targets.length];
    if (target === undefined || kind === "r") slots++;
    if (target !== undefined && kind === "r") objects.push(slots);
    if (target !== undefined) references++;
    write(target === undefined ? "N;" : `${kind}:${target};`);
  }

  function writeObject(head: string): void {
    objects.push(slots);
    write(head);
  }

  function writeValue(value: PhpTree): void {
    if (value.type === "again") writeBack("r", objects, value.pick);
    else if (value.type === "reference") {
      const all = Array.from({ length: slots - slotsBefore }, (_, index) => slotsBefore + index + 1);
      writeBack("R", all, value.pick);
    } else {
      slots++;
      writePlain(value);
    }
  }

  function writePlain(value: Exclude<PhpTree, { pick: number }>): void {
    switch (value.type) {
      case "null":
        write("N;");
        break;
      case "bool":
        write(`b:${Number(value.value)};`);
        break;
      case "int":
        write(`i:${value.value};`);
        break;
      case "float":
        write(`d:${value.text};`);
        break;
      case "string":
        writeString(value.bytes, value.isEscaped);
        break;
      case "array":
        write("a:");
        writeEntries(value.entries);
        break;
      case "object":
        writeObject(`O:${value.className.length}:"${value.className}":`);
        writeEntries(value.entries);
        break;
      case "enum":
        writeObject('E:11:"Suit:Hearts";');
        break;
      case "opaque":
        writeObject(`C:7:"App\\Old":${value.bytes.length}:{`);
        write(value.bytes);
        write("}");
        break;
    }
  }

  writeValue(tree);
  return { bytes: Buffer.concat(parts), slots, references };
}
