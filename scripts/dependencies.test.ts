import { execFile } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "fanwire-dependencies-"));
  writeFileSync(join(root, "npm.js"), `require("node:fs").writeFileSync("npm-ran", process.argv.slice(2).join(" "));`);
  writeLock("package-lock.json", { "node_modules/a": { version: "1.0.0", integrity: "x" } });
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

function writeLock(name: string, packages: Record<string, unknown>): void {
  mkdirSync(join(root, "node_modules"), { recursive: true });
  writeFileSync(join(root, name), JSON.stringify({ packages: { "": { name: "it" }, ...packages } }));
}

/** As start.mjs calls it: in a process of its own, with a stand-in for npm. */
function ensure(): Promise<{ readonly code: number; readonly stderr: string }> {
  const module = new URL("./dependencies.mjs", import.meta.url).href;
  const script = `import { ensureDependencies } from ${JSON.stringify(module)}; await ensureDependencies(process.argv[1]);`;
  const env = { ...process.env, npm_execpath: join(root, "npm.js") };
  return new Promise((resolve) => {
    execFile(process.execPath, ["--input-type=module", "-e", script, root], { env }, (error, _stdout, stderr) =>
      resolve({ code: typeof error?.code === "number" ? error.code : 0, stderr }),
    );
  });
}

test("npm ci runs when nothing is installed", async () => {
  const { code, stderr } = await ensure();

  expect({ code, ran: existsSync(join(root, "npm-ran")) }).toEqual({ code: 0, ran: true });
  expect(stderr).toContain("nothing is installed yet");
});

test("nothing happens when what is installed is what the lock asks for", async () => {
  writeLock("node_modules/.package-lock.json", { "node_modules/a": { version: "1.0.0", integrity: "x" } });
  writeLock("package-lock.json", {
    "node_modules/a": { version: "1.0.0", integrity: "x" },
    "node_modules/only-for-windows": { version: "1.0.0", integrity: "y", optional: true },
    "apps/of-ours": { version: "0.1.0" },
  });

  const { code, stderr } = await ensure();

  expect({ code, stderr, ran: existsSync(join(root, "npm-ran")) }).toEqual({ code: 0, stderr: "", ran: false });
});

test("npm ci runs when the lock has changed", async () => {
  writeLock("node_modules/.package-lock.json", { "node_modules/a": { version: "0.9.0", integrity: "w" } });

  expect((await ensure()).stderr).toContain("package-lock.json has changed");
  expect(existsSync(join(root, "npm-ran"))).toBe(true);
});

test("a failed npm ci ends it with a message", async () => {
  writeFileSync(join(root, "npm.js"), "process.exit(7);");

  const { code, stderr } = await ensure();

  expect(code).toBe(1);
  expect(stderr).toContain("npm ci failed (exit code 7)");
});
