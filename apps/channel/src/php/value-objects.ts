/** An entry of an object: its serialized key, and a pattern for the start of its value. */
type Entry = readonly [key: string, value: RegExp, isValid?: (match: RegExpExecArray) => boolean];

/** The entries in order that an object of a class must have. */
export type ObjectForm = { readonly className: string; readonly entries: readonly Entry[] };

/**
 * Areas of the IANA time zone database, and its names without an area. JavaScript knows more names, such as `ACT` and
 * `SystemV/PST8`, which PHP refuses.
 */
const ianaZone = new RegExp(
  [
    "^((Africa|America|Antarctica|Arctic|Asia|Atlantic|Australia|Brazil|Canada|Chile|Etc|Europe|Indian|Mexico|Pacific|US)/.+",
    "UTC|UCT|GMT([+-]?0)?|Zulu|Universal|Greenwich|[WCME]ET|[EMH]ST|EST5EDT|CST6CDT|MST7MDT|PST8PDT",
    "Cuba|Egypt|Eire|GB|GB-Eire|Hongkong|Iceland|Iran|Israel|Jamaica|Japan|Kwajalein|Libya|NZ|NZ-CHAT|Navajo|PRC|Poland",
    "Portugal|ROC|ROK|Singapore|Turkey|W-SU)$",
  ].join("|"),
  "i",
);
/** Names that the database has removed, and that JavaScript still knows. */
const removedZones: ReadonlySet<string> = new Set(["us/pacific-new", "canada/east-saskatchewan"]);

const date = /^s:(26|27):"-?\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01]) (?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{6}";/;
const zone =
  /^(?:i:1;s:8:"timezone";s:6:"[+-](?:0\d|1[0-4]):[0-5]\d"|i:2;s:8:"timezone";s:(?:1:"Z"|3:"(?:UTC|GMT|[ECMP][SD]T)")|i:3;s:8:"timezone";s:(?<length>\d+):"(?<id>[A-Za-z][A-Za-z_/+0-9-]{0,63})");/;
const zoneEntry: Entry = ['s:13:"timezone_type";', zone, ({ groups }) => isTimeZone(groups?.id, groups?.length)];
// The pattern of the zone's type covers the zone itself.
const zoneName: Entry = ['s:8:"timezone";', /^s:/];
const dateTime: readonly Entry[] = [['s:4:"date";', date], zoneEntry, zoneName];
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

const ownForms: readonly ObjectForm[] = [
  { className: "DateTime", entries: dateTime },
  { className: "DateTimeImmutable", entries: dateTime },
  { className: "DateTimeZone", entries: [zoneEntry, zoneName] },
  { className: "ArrayObject", entries: arrayObject },
  { className: "ArrayIterator", entries: arrayObject },
  { className: "RecursiveArrayIterator", entries: arrayObject },
  { className: "SplDoublyLinkedList", entries: list },
  { className: "SplQueue", entries: list },
  { className: "SplStack", entries: list },
];
const formsByName = new Map(ownForms.map((form) => [form.className.toLowerCase(), form]));

/** Length in which a key and the start of its value fit. */
const longestStart = 128;
const maxKnownZones = 1_000;
const knownZones = new Map<string, boolean>();

/**
 * Returns the only form in which PHP reads an object of the class without an exception, which is the form that PHP
 * writes. Returns `undefined` for classes that are not values of PHP itself.
 */
export function valueForm(className: string): ObjectForm | undefined {
  return formsByName.get(className.toLowerCase());
}

/** Returns whether the bytes at the position are the entry's key and the start of its value. */
export function isEntryAt(bytes: Buffer, position: number, entry: Entry | undefined): boolean {
  if (entry === undefined) return false;
  const [key, value, isValid] = entry;
  const end = position + longestStart;
  const text = bytes.toString("latin1", position, end);
  const match = text.startsWith(key) ? value.exec(text.slice(key.length)) : null;
  return match !== null && (isValid === undefined || isValid(match));
}

/** Returns whether PHP knows the zone. `id` is `undefined` for a zone without an identifier, such as `+02:00`. */
function isTimeZone(id: string | undefined, length: string | undefined): boolean {
  if (id === undefined) return true;
  if (Number(length) !== id.length) return false;
  const known = knownZones.get(id);
  if (known !== undefined) return known;
  let isKnown = ianaZone.test(id) && !removedZones.has(id.toLowerCase());
  try {
    new Intl.DateTimeFormat("en", { timeZone: id });
  } catch {
    isKnown = false;
  }
  if (knownZones.size < maxKnownZones) knownZones.set(id, isKnown);
  return isKnown;
}
