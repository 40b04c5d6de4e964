import { expect, test } from "vitest";
import { isAccepted, isOurs, licenceOf } from "./licences.ts";

const withLicences = (...licenses: NonNullable<Parameters<typeof isAccepted>[0]["licenses"]>) => ({
  name: "x",
  version: "1.0.0",
  licenses,
});

test.each([["MIT"], ["Apache-2.0"], ["ISC"]])("%s is accepted", (id) => {
  expect(isAccepted(withLicences({ license: { id } }))).toBe(true);
});

test.each([
  ["a licence that asks for more", withLicences({ license: { id: "GPL-3.0-only" } })],
  ["one without a known name", withLicences({ license: { name: "SEE LICENSE IN LICENSE.md" } })],
  ["an expression", withLicences({ expression: "MIT OR GPL-2.0" })],
  ["two, of which one is not accepted", withLicences({ license: { id: "MIT" } }, { license: { id: "AGPL-3.0" } })],
  ["none", withLicences()],
  ["none at all", { name: "x", version: "1.0.0" }],
])("%s is not accepted", (_, component) => {
  expect(isAccepted(component)).toBe(false);
});

test("the licence is what the package declares, and packages of this repository are recognized", () => {
  expect(licenceOf(withLicences({ license: { id: "MIT" } }, { expression: "A OR B" }))).toBe("MIT AND A OR B");
  expect(isOurs({ ...withLicences(), properties: [{ name: "cdx:npm:package:private", value: "true" }] })).toBe(true);
  expect(isOurs({ ...withLicences(), name: "client", "bom-ref": "@fanwire/client@1.0.0" })).toBe(true);
  expect(isOurs(withLicences())).toBe(false);
});
