import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../testing.ts";
import { checkLayers } from "./layers.ts";

/** Writes files that hold nothing but imports of the given paths. */
function tree(files: Record<string, readonly string[]>): string {
  const src = temporaryFolder();
  for (const [path, imports] of Object.entries(files)) {
    mkdirSync(join(src, dirname(path)), { recursive: true });
    writeFileSync(join(src, path), imports.map((each) => `import { x } from "${each}";\n`).join(""));
  }
  return src;
}

test("folders that import in one direction have no problem", () => {
  const src = tree({
    "main.ts": ["./hub/hub.ts", "node:fs"],
    "config.ts": [],
    "hub/hub.ts": ["../wire/frames.ts", "../config.ts", "./set.ts"],
    "hub/set.ts": [],
    "wire/frames.ts": ["@fanwire/protocol"],
  });

  expect(checkLayers(src, ["hub", "wire"])).toEqual({
    files: 5,
    imports: [
      { from: "hub/hub.ts", to: "wire/frames.ts" },
      { from: "hub/hub.ts", to: "config.ts" },
      { from: "main.ts", to: "hub/hub.ts" },
    ],
    problems: [],
  });
});

test("two folders that import each other are a problem, although no two files do", () => {
  const src = tree({ "a/1.ts": ["../b/1.ts"], "a/2.ts": [], "b/1.ts": [], "b/2.ts": ["../a/2.ts"] });

  expect(checkLayers(src).problems).toEqual([
    "a, b import each other:",
    "  a/1.ts imports b/1.ts",
    "  b/2.ts imports a/2.ts",
  ]);
});

test("a cycle of folders may pass a file beside them", () => {
  const src = tree({ "a/1.ts": ["../b.ts"], "b.ts": ["./c/1.ts"], "c/1.ts": ["../a/2.ts"], "a/2.ts": [] });

  expect(checkLayers(src).problems[0]).toBe("a, b.ts, c import each other:");
});

test("two folders within a folder may not import each other either", () => {
  const src = tree({
    "p/list.ts": ["./a/1.ts", "./b/1.ts"],
    "p/a/1.ts": ["../b/1.ts", "../list.ts"],
    "p/b/1.ts": [],
    "p/b/2.ts": ["../a/2.ts"],
    "p/a/2.ts": [],
  });

  expect(checkLayers(src).problems[0]).toBe("p: a, b import each other:");
});

test("an import of a folder above is a problem, and so is a folder without a place", () => {
  const src = tree({ "low/1.ts": ["../high/1.ts"], "high/1.ts": [], "new/1.ts": [] });

  expect(checkLayers(src, ["high", "low"]).problems).toEqual([
    "new has no place in the order of scripts/checks/check-layers.ts",
    "upward: low/1.ts imports high/1.ts",
  ]);
});

test("three levels of folders are too deep", () => {
  expect(checkLayers(tree({ "a/b/1.ts": [], "a/b/c/1.ts": [] })).problems).toEqual(["a/b/c is too deep"]);
});

test("a file that was not read is a problem, because the check may not pass on half of a tree", () => {
  expect(checkLayers(tree({ "1.ts": ["./2.js"] })).problems).toEqual(["1.ts imports 2.js, which was not read"]);
  expect(checkLayers(join(tree({}), "nowhere")).problems).toEqual(["no file was read"]);
});

test("tests may import from everywhere", () => {
  const src = tree({
    "a/1.ts": ["../b/1.ts"],
    "b/1.ts": [],
    "b/1.test.ts": ["../a/1.ts"],
    "b/testing.ts": ["../a/1.ts"],
  });

  expect(checkLayers(src, ["a", "b"]).problems).toEqual([]);
});

test.each([
  ["a type", 'import type { X } from "../b/1.ts";'],
  ["an inline type", 'import { type X } from "../b/1.ts";'],
  ["a list on several lines", 'import {\n  x,\n  y,\n} from "../b/1.ts";'],
  ["a namespace", 'import * as x from "../b/1.ts";'],
  ["a side effect", 'import "../b/1.ts";'],
  ["a re-export", 'export { x } from "../b/1.ts";'],
  ["a re-export of everything", 'export * from "../b/1.ts";'],
  ["a dynamic import", 'const x = await import("../b/1.ts");'],
  ["a type by import()", 'type X = import("../b/1.ts").X;'],
])("%s counts as an import", (_, text) => {
  const src = tree({ "a/1.ts": [], "b/1.ts": [] });
  writeFileSync(join(src, "a/1.ts"), `const before = 1;\n${text}\n`);

  expect(checkLayers(src).imports).toEqual([{ from: "a/1.ts", to: "b/1.ts" }]);
});
