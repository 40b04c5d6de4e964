import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { withCurrentNames, withCurrentTable } from "./config-table.ts";

test("the table in docs/configuration.md is current after `npm run docs`", () => {
  const page = readFileSync(new URL("../../docs/configuration.md", import.meta.url), "utf8");

  expect(page).toBe(withCurrentTable(page));
});

test("the list of known variables is current after `npm run docs`", () => {
  const source = readFileSync(new URL("../../packages/service/src/known-settings.ts", import.meta.url), "utf8");

  expect(source).toBe(withCurrentNames(source));
});
