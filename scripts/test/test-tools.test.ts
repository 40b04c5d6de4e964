import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { temporaryFolder } from "../testing.ts";
import { ensureTestTools, type TestToolsOptions } from "./test-tools.ts";

let folder: string;
let said: string[];

beforeEach(() => {
  folder = temporaryFolder();
  mkdirSync(join(folder, "path"));
  for (const name of ["touch", "cat"]) symlinkSync(`/bin/${name}`, join(folder, "path", name));
  writeFileSync(join(folder, "os-release"), "NAME=x\nID=debian\n");
  said = [];
});

function writeProgram(name: string, script: string): void {
  writeFileSync(join(folder, "path", name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
}

/** Writes a replacement for apt-get that records its arguments. */
function writeApt(install: string): void {
  writeProgram("apt-get", `echo "$@" >> "${folder}/asked"\n[ "$1" = update ] || { ${install}; }`);
}

function ensure(more: Partial<Pick<TestToolsOptions, "isRoot" | "tools">> = {}): Promise<string[]> {
  return ensureTestTools({
    env: { PATH: join(folder, "path") },
    tools: [
      { program: "php", package: "php-cli", tests: "the comparisons with PHP" },
      { program: "browser", package: "a-browser", tests: "the tests in a browser", path: join(folder, "browser") },
    ],
    isRoot: true,
    osRelease: join(folder, "os-release"),
    programs: join(folder, "path"),
    retryMs: 1,
    say: (line) => said.push(line),
    ...more,
  });
}

test("missing tools are installed on Debian as root", async () => {
  writeApt(`touch "${folder}/browser" "${folder}/path/php"`);

  expect(await ensure()).toEqual([]);

  const asked = readFileSync(join(folder, "asked"), "utf8");
  expect(asked).toBe("update -q\ninstall -yq --no-install-recommends php-cli a-browser\n");
});

test("nothing is installed when nothing is missing", async () => {
  writeApt("exit 1");
  for (const path of ["browser", "path/php"]) writeFileSync(join(folder, path), "");

  expect(await ensure()).toEqual([]);

  expect(existsSync(join(folder, "asked"))).toBe(false);
});

test("a part of a program is there if its probe succeeds, and is installed otherwise", async () => {
  writeProgram("php", `[ "$2" = curl ] && cat "${folder}/curl"`);
  writeApt(`touch "${folder}/curl"`);
  const tools = [{ program: "php", package: "php-curl", tests: "the examples", probe: ["-r", "curl"] }];

  expect(await ensure({ tools })).toEqual([]);
  expect(await ensure({ tools })).toEqual([]);

  const asked = readFileSync(join(folder, "asked"), "utf8");
  expect(asked).toBe("update -q\ninstall -yq --no-install-recommends php-curl\n");
  rmSync(join(folder, "curl"));
  expect(await ensure({ tools, isRoot: false })).toEqual([
    "without php-curl the examples are skipped; on Debian: apt-get install --no-install-recommends php-curl",
  ]);
});

test("a tool that cannot be installed is named, with the skipped tests and what to do", async () => {
  writeApt(`touch "${folder}/browser"; echo "E: no such package" >&2; exit 100`);

  expect(await ensure()).toEqual([
    "without php (on PATH) the comparisons with PHP are skipped; on Debian: apt-get install --no-install-recommends php-cli",
  ]);

  expect(said).toContain("Attempt 3 failed: E: no such package");
});

test("nothing is installed without root, or on another system", async () => {
  writeApt("exit 1");

  expect(await ensure({ isRoot: false })).toHaveLength(2);
  writeFileSync(join(folder, "os-release"), "ID=ubuntu\nID_LIKE=debian\n");
  expect(await ensure()).toHaveLength(2);

  expect(existsSync(join(folder, "asked"))).toBe(false);
});

test("a package that would start a service is unpacked, not installed", async () => {
  writeApt(`[ "$1" = download ] && touch archive.deb`);
  writeProgram("dpkg-deb", `mkdir -p "$3/usr/bin"; touch "$3/usr/bin/a" "$3/usr/bin/b"`);
  symlinkSync("/bin/mkdir", join(folder, "path", "mkdir"));

  const tools = [{ program: "a", package: "a-service", tests: "the tests", unpacks: ["a", "b"] }];
  expect(await ensure({ tools })).toEqual([]);

  expect(readFileSync(join(folder, "asked"), "utf8")).toBe("download -q a-service\n");
  expect(existsSync(join(folder, "path", "b"))).toBe(true);
});
