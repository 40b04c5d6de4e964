import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { LONGEST } from "./longest-first.ts";

test("every file that begins early exists", () => {
  const missing = LONGEST.filter((path) => !existsSync(fileURLToPath(new URL(`../../${path}`, import.meta.url))));

  expect(missing).toEqual([]);
});
