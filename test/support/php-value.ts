/** The PHP values that tests use. Text is UTF-8, and an object is an array with string keys. */
export type PhpValue =
  | string
  | Uint8Array
  | number
  | boolean
  | null
  | readonly PhpValue[]
  | { readonly [key: string]: PhpValue };

/** Serializes as PHP does. Independent of the code of the server, so that both do not share an error. */
export function serialize(value: PhpValue): Buffer {
  if (value === null) return Buffer.from("N;");
  if (typeof value === "boolean") return Buffer.from(`b:${value ? 1 : 0};`);
  if (typeof value === "number") return Buffer.from(`${Number.isInteger(value) ? "i" : "d"}:${value};`);
  if (typeof value === "string" || value instanceof Uint8Array) {
    const bytes = Buffer.from(value as Uint8Array); // Buffer.from takes both, which its overloads do not show
    return Buffer.concat([Buffer.from(`s:${bytes.length}:"`), bytes, Buffer.from('";')]);
  }
  const entries = Array.isArray(value) ? [...value.entries()] : Object.entries(value as Record<string, PhpValue>);
  const members = entries.flatMap(([key, member]) => [serialize(key), serialize(member)]);
  return Buffer.concat([Buffer.from(`a:${entries.length}:{`), ...members, Buffer.from("}")]);
}

/** The payload of an `event` or `queue` frame as the original sends it; `name` as its publisher wrote it. */
export function reply(type: "event" | "queue", name: PhpValue, data: PhpValue): string {
  return serialize({ type, channel: name, data }).toString("latin1");
}
