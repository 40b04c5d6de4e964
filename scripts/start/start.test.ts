import { spawnSync } from "node:child_process";
import { cpSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { temporaryFolder } from "../testing.ts";

test("an unknown argument of npm start is named before anything is installed", () => {
  const root = temporaryFolder();
  for (const file of ["start/start.mjs", "dependencies.mjs"]) {
    cpSync(fileURLToPath(new URL(`../${file}`, import.meta.url)), join(root, "scripts", file));
  }
  writeFileSync(join(root, "package-lock.json"), "{}");

  const start = join(root, "scripts", "start", "start.mjs");
  const { status, stderr } = spawnSync(process.execPath, [start, "--help", "--port=1", "x"], { encoding: "utf8" });

  expect(status).toBe(2);
  expect(stderr).toContain("unknown argument: --port=1 x");
  expect(readdirSync(root).sort()).toEqual(["package-lock.json", "scripts"]);
});
