/** Licences that ask for nothing but their text to be kept. Another one is to be read before it is added. */
const ACCEPTED: ReadonlySet<string> = new Set([
  "0BSD",
  "Apache-2.0",
  "BSD-2-Clause",
  "BSD-3-Clause",
  "ISC",
  "MIT",
  "Unlicense",
]);

/** What we read of a CycloneDX document. */
export type Component = {
  readonly name: string;
  readonly version: string;
  readonly licenses?: readonly Licence[];
  readonly properties?: readonly { readonly name: string; readonly value: string }[];
};
type Licence = { readonly license?: { readonly id?: string; readonly name?: string }; readonly expression?: string };

/** Whether it is one of our own packages, which are not published. */
export function isOurs({ properties = [] }: Component): boolean {
  return properties.some(({ name, value }) => name === "cdx:npm:package:private" && value === "true");
}

/** As its package says it; `none` when it says nothing. */
export function licenceOf({ licenses = [] }: Component): string {
  const names = licenses.map(({ license, expression }) => license?.id ?? license?.name ?? expression ?? "none");
  return names.join(" AND ") || "none";
}

/** An expression is read no further: whether it is acceptable is for a person to say. */
export function isAccepted(component: Component): boolean {
  return ACCEPTED.has(licenceOf(component));
}
