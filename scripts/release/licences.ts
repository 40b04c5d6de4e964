import { PUBLIC_PACKAGES } from "./versions.ts";

/** Licences whose only condition is that their text is kept. Read another one before you add it. */
const ACCEPTED: ReadonlySet<string> = new Set([
  "0BSD",
  "Apache-2.0",
  "BSD-2-Clause",
  "BSD-3-Clause",
  "ISC",
  "MIT",
  "Unlicense",
]);

/** The used fields of a component in a CycloneDX document. */
export type Component = {
  /** Name and version. `name` is the folder, for a package of this repository. */
  readonly "bom-ref"?: string;
  readonly name: string;
  readonly version: string;
  readonly licenses?: readonly Licence[];
  readonly properties?: readonly { readonly name: string; readonly value: string }[];
};
type Licence = { readonly license?: { readonly id?: string; readonly name?: string }; readonly expression?: string };

/** Whether the component is a package of this repository: a private one, or one that it publishes. */
export function isOurs({ version, properties = [], "bom-ref": reference }: Component): boolean {
  const isPrivate = properties.some((each) => each.name === "cdx:npm:package:private" && each.value === "true");
  return isPrivate || PUBLIC_PACKAGES.some((name) => reference === `${name}@${version}`);
}

/** Returns the licence that the package declares, or `none`. */
export function licenceOf({ licenses = [] }: Component): string {
  const names = licenses.map(({ license, expression }) => license?.id ?? license?.name ?? expression ?? "none");
  return names.join(" AND ") || "none";
}

/** Accepts no licence expression: a person has to decide about those. */
export function isAccepted(component: Component): boolean {
  return ACCEPTED.has(licenceOf(component));
}
