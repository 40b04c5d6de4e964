/** One entry of an object: the serialized key, and what its value begins with. */
type Entry = readonly [key: string, value: RegExp, isValid?: (match: RegExpExecArray) => boolean];

const date = /^s:(26|27):"-?\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01]) (?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{6}";/;
const zone =
  /^(?:i:1;s:8:"timezone";s:6:"[+-](?:0\d|1[0-4]):[0-5]\d"|i:2;s:8:"timezone";s:(?:1:"Z"|3:"(?:UTC|GMT|[ECMP][SD]T)")|i:3;s:8:"timezone";s:(?<length>\d+):"(?<id>[A-Za-z][A-Za-z_/+0-9-]{0,63})");/;
const zoneEntry: Entry = ['s:13:"timezone_type";', zone, ({ groups }) => isTimeZone(groups?.id, groups?.length)];
const anyEntry: Entry = ['s:8:"timezone";', /^s:/];
const dateTime: readonly Entry[] = [['s:4:"date";', date], zoneEntry, anyEntry];
const arrayObject: readonly Entry[] = [
  ["i:0;", /^i:[0-3];/],
  ["i:1;", /^a:/],
  ["i:2;", /^a:0:\{\}/],
  ["i:3;", /^N;/],
];
const list: readonly Entry[] = [
  ["i:0;", /^i:[0-7];/],
  ["i:1;", /^a:/],
  ["i:2;", /^a:0:\{\}/],
];

/**
 * Objects of PHP's own classes that every PHP reads without an exception: exactly in the form in which PHP writes them.
 * Their classes check what they are given, and throw.
 */
const safeObjects: ReadonlyMap<string, readonly Entry[]> = new Map([
  ["datetime", dateTime],
  ["datetimeimmutable", dateTime],
  ["datetimezone", [zoneEntry, anyEntry]],
  ["arrayobject", arrayObject],
  ["arrayiterator", arrayObject],
  ["recursivearrayiterator", arrayObject],
  ["spldoublylinkedlist", list],
  ["splqueue", list],
  ["splstack", list],
]);

/** No value that is checked is longer. */
const longestStart = 200;
const maxKnownZones = 1_000;
const knownZones = new Map<string, boolean>();

/** The entries that such an object must have, in order; `undefined`: no object of the class is safe. */
export function safeEntries(className: string): readonly Entry[] | undefined {
  return safeObjects.get(className.toLowerCase());
}

/** Whether the key and the beginning of the value at the position are those of the entry. */
export function isEntryAt(bytes: Uint8Array, position: number, [key, value, isValid]: Entry): boolean {
  const end = position + key.length + longestStart;
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1", position, end);
  const match = text.startsWith(key) ? value.exec(text.slice(key.length)) : null;
  return match !== null && (isValid === undefined || isValid(match));
}

/** A zone unknown to PHP makes it throw. `undefined`: the zone is not given by its identifier. */
function isTimeZone(id: string | undefined, length: string | undefined): boolean {
  if (id === undefined) return true;
  if (Number(length) !== id.length) return false;
  const known = knownZones.get(id);
  if (known !== undefined) return known;
  let isKnown = true;
  try {
    new Intl.DateTimeFormat("en", { timeZone: id });
  } catch {
    isKnown = false;
  }
  if (knownZones.size < maxKnownZones) knownZones.set(id, isKnown);
  return isKnown;
}
