import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { temporaryFolder } from "../testing.ts";
import { findLocalNatsServer, findNatsServer } from "./nats-server.ts";
import { isOldNats, parseNatsVersion } from "./nats-version.ts";

/** The surroundings of a search: no apt, no nats-server, no internet. */
let folder: string;
let path: string;
let said: string[];

beforeEach(() => {
  folder = temporaryFolder();
  path = join(folder, "path");
  for (const name of ["path", "bin", "tmp"]) mkdirSync(join(folder, name));
  vi.stubEnv("TMPDIR", join(folder, "tmp"));
  said = [];
});

afterEach(() => void vi.unstubAllEnvs());

function find(options: { readonly releasesUrl?: string; readonly env?: NodeJS.ProcessEnv } = {}) {
  return findNatsServer({
    env: { PATH: path, ...options.env },
    folder: join(folder, "bin"),
    systemFolders: [],
    releasesUrl: options.releasesUrl ?? "http://127.0.0.1:9/none",
    say: (line) => said.push(line),
  });
}

function writeProgram(into: string, name: string, script: string): string {
  const file = join(into, name);
  writeFileSync(file, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return file;
}

const writeServer = (into: string, version: string) =>
  writeProgram(into, "nats-server", `echo "nats-server: v${version}"`);

function addTools(...names: string[]): void {
  for (const name of names) {
    symlinkSync(execFileSync("/bin/sh", ["-c", `command -v ${name}`], { encoding: "utf8" }).trim(), join(path, name));
  }
}

/** Serves a release for any requested version and platform, as GitHub does, and adds the tools that unpack it. */
async function serveRelease(options: { readonly version: string; readonly checksum?: string }): Promise<string> {
  addTools("tar", "gzip");
  const server = createServer((request, response) => {
    const [, release = "", file = ""] = (request.url ?? "").split("/");
    const archives = packReleases(release, options.version);
    if (file !== "SHA256SUMS") {
      response.end(archives.get(file));
      return;
    }
    const lines = [...archives].map(
      ([name, content]) => `${options.checksum ?? createHash("sha256").update(content).digest("hex")}  ${name}`,
    );
    response.end(`${lines.join("\n")}\n`);
  });
  onTestFinished(() => new Promise<void>((resolve) => void server.close(() => resolve())));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const packed = new Map<string, Map<string, Buffer>>();

function packReleases(release: string, version: string): Map<string, Buffer> {
  const known = packed.get(release + version);
  if (known) return known;
  const work = mkdtempSync(join(folder, "pack-"));
  const archives = new Map<string, Buffer>();
  for (const machine of ["linux-amd64", "linux-arm64", "darwin-amd64", "darwin-arm64"]) {
    const name = `nats-server-${release}-${machine}`;
    mkdirSync(join(work, name));
    writeServer(join(work, name), version);
    execFileSync("tar", ["-czf", `${name}.tar.gz`, name], { cwd: work });
    archives.set(`${name}.tar.gz`, readFileSync(join(work, `${name}.tar.gz`)));
  }
  packed.set(release + version, archives);
  return archives;
}

describe("a nats-server that is there already", () => {
  test("on PATH is taken", async () => {
    const file = writeServer(path, "2.9.10");

    expect(await find()).toEqual({ path: file, version: "2.9.10", source: "PATH" });
  });

  test("is found without fetching one", async () => {
    const options = { env: { PATH: path }, folder: join(folder, "bin"), systemFolders: [] };
    expect(await findLocalNatsServer(options)).toBeUndefined();
    const fetched = writeServer(join(folder, "bin"), "2.9.10");

    expect(await findLocalNatsServer(options)).toMatchObject({ path: fetched });
  });

  test("named by FANWIRE_NATS_SERVER goes before the one on PATH", async () => {
    writeServer(path, "2.10.0");
    mkdirSync(join(folder, "own"));
    const file = writeServer(join(folder, "own"), "2.11.0");

    const found = await find({ env: { FANWIRE_NATS_SERVER: file } });

    expect(found).toEqual({ path: file, version: "2.11.0", source: "FANWIRE_NATS_SERVER" });
  });

  test("named by FANWIRE_NATS_SERVER and unusable is an error, not replaced by another", async () => {
    writeServer(path, "2.10.0");

    await expect(find({ env: { FANWIRE_NATS_SERVER: join(folder, "nowhere") } })).rejects.toThrow(
      /FANWIRE_NATS_SERVER: .*nowhere does not run/,
    );
  });

  test("that is too old on PATH is skipped, and the reason is printed", async () => {
    writeServer(path, "2.8.4");
    const file = writeServer(join(folder, "bin"), "2.9.10");

    expect(await find()).toEqual({ path: file, version: "2.9.10", source: "fetched before" });
    expect(said.join("\n")).toMatch(/Passed over: PATH: .* is version 2\.8\.4, and Fanwire needs 2\.9\.0 or newer/);
  });
});

describe("the official release", () => {
  test("is fetched, checked, kept for the next time", async () => {
    const releasesUrl = await serveRelease({ version: "2.11.8" });
    const file = join(folder, "bin", "nats-server");

    expect(await find({ releasesUrl })).toEqual({ path: file, version: "2.11.8", source: "the official release" });
    expect(await find()).toEqual({ path: file, version: "2.11.8", source: "fetched before" });
    expect(readdirSync(join(folder, "tmp"))).toEqual([]);
  });

  const checksum = "0".repeat(64);
  test.each([
    ["with a wrong checksum", { version: "2.11.8", checksum }, /was refused: its SHA-256 is [0-9a-f]{64}, not 0{64}/],
    ["that turns out too old", { version: "2.8.0" }, /the official release: .* is version 2\.8\.0/],
  ])("%s is refused, and nothing of it stays", async (_what, release, problem) => {
    const releasesUrl = await serveRelease(release);

    await expect(find({ releasesUrl })).rejects.toThrow(problem);
    expect(readdirSync(join(folder, "bin"))).toEqual([]);
    expect(readdirSync(join(folder, "tmp"))).toEqual([]);
  });
});

describe("the package of the system", () => {
  /** Replaces apt-get and dpkg-deb by ones for a package whose program prints `version`. */
  function writeApt(version: string): void {
    writeProgram(path, "apt-get", `[ "$1" = download ] && echo deb > nats-server_1_all.deb`);
    const server = `#!/bin/sh\\necho nats-server: v${version}\\n`;
    const sbin = '"$3/usr/sbin"';
    writeProgram(path, "dpkg-deb", `mkdir -p ${sbin}\nprintf '${server}' > ${sbin}/nats-server`);
    addTools("mkdir");
  }

  test("is unpacked, not installed", async () => {
    writeApt("2.9.10");

    expect(await find()).toEqual({
      path: join(folder, "bin", "nats-server"),
      version: "2.9.10",
      source: "the package of this system",
    });
    expect(readdirSync(join(folder, "tmp"))).toEqual([]);
  });

  test("that cannot be fetched leaves one line with apt's reason", async () => {
    writeProgram(path, "apt-get", "echo W: a warning >&2\necho E: no network >&2\n[ $1 = update ]");

    const { message } = (await find().catch((caught: Error) => caught)) as Error;

    expect(message).toMatch(/^ {2}- the package of this system: E: no network( \(perhaps .*\))?$/m);
  });

  test("that is too old gives way to the official release", async () => {
    writeApt("2.7.0");
    const releasesUrl = await serveRelease({ version: "2.11.8" });

    expect(await find({ releasesUrl })).toMatchObject({ version: "2.11.8", source: "the official release" });
  });
});

test("when nothing works, the message lists the attempts and the remedies", async () => {
  const error = await find().catch((caught: Error) => caught);

  expect(error).toBeInstanceOf(Error);
  const { message } = error as Error;
  expect(message).toContain("PATH: no nats-server");
  expect(message).toContain("the package of this system: there is no apt-get on this machine");
  expect(message).toMatch(/the official release: http:\/\/127\.0\.0\.1:9\/none.*/);
  expect(message).toContain("FANWIRE_NATS_URL=nats://");
});

test.each([
  ["nats-server: v2.9.10", "2.9.10"],
  ["nats-server: v2.11.0-RC.3\n", "2.11.0"],
  ["nats-server version 1.4.1", "1.4.1"],
  ["command not found", undefined],
])("the version in %j is %s", (text, version) => {
  expect(parseNatsVersion(text)).toBe(version);
});

test.each([
  ["1.4.1", true],
  ["2.8.99", true],
  ["2.9.0", false],
  ["2.11.8", false],
  ["3.0.0", false],
])("version %s is too old: %s", (version, old) => {
  expect(isOldNats(version)).toBe(old);
});
