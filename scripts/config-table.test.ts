import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { withCurrentTable } from "./config-table.ts";

test("the README's configuration table is current: if not, run `npm run docs`", () => {
  const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");

  expect(readme).toBe(withCurrentTable(readme));
});
