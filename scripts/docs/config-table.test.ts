import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { withCurrentNames, withCurrentTable } from "./config-table.ts";

test("the README's configuration table is current: if not, run `npm run docs`", () => {
  const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");

  expect(readme).toBe(withCurrentTable(readme));
});

test("the list of known variables is current: if not, run `npm run docs`", () => {
  const source = readFileSync(new URL("../../packages/service/src/known-settings.ts", import.meta.url), "utf8");

  expect(source).toBe(withCurrentNames(source));
});
