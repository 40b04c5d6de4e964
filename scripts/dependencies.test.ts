import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { temporaryFolder } from "./testing.ts";

let root: string;

beforeEach(() => {
  root = temporaryFolder();
  writeFileSync(join(root, "npm.js"), `require("node:fs").writeFileSync("npm-ran", process.argv.slice(2).join(" "));`);
  writeLock("package-lock.json", { "node_modules/a": { version: "1.0.0", integrity: "x" } });
});

function writeLock(name: string, packages: Record<string, unknown>): void {
  mkdirSync(join(root, "node_modules"), { recursive: true });
  writeFileSync(join(root, name), JSON.stringify({ packages: { "": { name: "it" }, ...packages } }));
}

/** As start.mjs calls it: in a process of its own, with a stand-in for npm. */
function ensure() {
  const module = new URL("./dependencies.mjs", import.meta.url).href;
  const script = `import { ensureDependencies } from ${JSON.stringify(module)}; await ensureDependencies(process.argv[1]);`;
  const env = { ...process.env, npm_execpath: join(root, "npm.js") };
  return spawnSync(process.execPath, ["--input-type=module", "-e", script, root], { env, encoding: "utf8" });
}

test("npm ci runs when nothing is installed", () => {
  const { status, stderr } = ensure();

  expect({ status, ran: existsSync(join(root, "npm-ran")) }).toEqual({ status: 0, ran: true });
  expect(stderr).toContain("nothing is installed yet");
});

test("nothing happens when what is installed is what the lock asks for", () => {
  writeLock("node_modules/.package-lock.json", { "node_modules/a": { version: "1.0.0", integrity: "x" } });
  writeLock("package-lock.json", {
    "node_modules/a": { version: "1.0.0", integrity: "x" },
    "node_modules/only-for-windows": { version: "1.0.0", integrity: "y", optional: true },
    "apps/of-ours": { version: "0.1.0" },
  });

  const { status, stderr } = ensure();

  expect({ status, stderr, ran: existsSync(join(root, "npm-ran")) }).toEqual({ status: 0, stderr: "", ran: false });
});

test("npm ci runs when the lock has changed", () => {
  writeLock("node_modules/.package-lock.json", { "node_modules/a": { version: "0.9.0", integrity: "w" } });

  expect(ensure().stderr).toContain("package-lock.json has changed");
  expect(existsSync(join(root, "npm-ran"))).toBe(true);
});

test("a failed npm ci ends it with a message", () => {
  writeFileSync(join(root, "npm.js"), "process.exit(7);");

  const { status, stderr } = ensure();

  expect(status).toBe(1);
  expect(stderr).toContain("npm ci failed (exit code 7)");
});
