import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { hashName } from "./name-hash.ts";

test("a name is hashed as bytes, whatever was hashed before", () => {
  const names = ["", "a", "a", "\xff".repeat(100), "b", "a", ""];

  const hashes = names.map(hashName);

  const expected = names.map((name) => createHash("sha256").update(Buffer.from(name, "latin1")).digest("hex"));
  expect(hashes).toEqual(expected);
});
