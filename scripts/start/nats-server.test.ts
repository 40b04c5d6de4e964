import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { findLocalNatsServer, findNatsServer } from "./nats-server.ts";
import { isOldNats, parseNatsVersion } from "./nats-version.ts";

/** The surroundings of a search: no apt, no nats-server, no internet. */
let folder: string;
let path: string;
let said: string[];
let releases: Server | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "fanwire-find-"));
  path = join(folder, "path");
  for (const name of ["path", "bin", "tmp"]) mkdirSync(join(folder, name));
  vi.stubEnv("TMPDIR", join(folder, "tmp"));
  said = [];
});

afterEach(async () => {
  vi.unstubAllEnvs();
  const server = releases;
  releases = undefined;
  if (server) await new Promise((resolve) => server.close(resolve));
  rmSync(folder, { recursive: true, force: true });
});

function find(options: { readonly releasesUrl?: string; readonly env?: NodeJS.ProcessEnv } = {}) {
  return findNatsServer({
    env: { PATH: path, ...options.env },
    folder: join(folder, "bin"),
    systemFolders: [],
    releasesUrl: options.releasesUrl ?? "http://127.0.0.1:9/none",
    say: (line) => said.push(line),
  });
}

function writeServer(into: string, version: string): string {
  const file = join(into, "nats-server");
  writeFileSync(file, `#!/bin/sh\necho "nats-server: v${version}"\n`);
  chmodSync(file, 0o755);
  return file;
}

function addTools(...names: string[]): void {
  for (const name of names) {
    symlinkSync(execFileSync("/bin/sh", ["-c", `command -v ${name}`], { encoding: "utf8" }).trim(), join(path, name));
  }
}

/** Serves a release for any requested version and platform, as GitHub does. */
async function serveRelease(options: { readonly version: string; readonly checksum?: string }): Promise<string> {
  releases = createServer((request, response) => {
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
  const server = releases;
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
    addTools("tar", "gzip");
    const releasesUrl = await serveRelease({ version: "2.11.8" });
    const file = join(folder, "bin", "nats-server");

    expect(await find({ releasesUrl })).toEqual({ path: file, version: "2.11.8", source: "the official release" });
    expect(await find()).toEqual({ path: file, version: "2.11.8", source: "fetched before" });
    expect(readdirSync(join(folder, "tmp"))).toEqual([]);
  });

  test("with a wrong checksum is refused, and nothing of it stays", async () => {
    addTools("tar", "gzip");
    const releasesUrl = await serveRelease({ version: "2.11.8", checksum: "0".repeat(64) });

    await expect(find({ releasesUrl })).rejects.toThrow(/was refused: its SHA-256 is [0-9a-f]{64}, not 0{64}/);
    expect(readdirSync(join(folder, "bin"))).toEqual([]);
    expect(readdirSync(join(folder, "tmp"))).toEqual([]);
  });

  test("that turns out too old is not kept", async () => {
    addTools("tar", "gzip");
    const releasesUrl = await serveRelease({ version: "2.8.0" });

    await expect(find({ releasesUrl })).rejects.toThrow(/the official release: .* is version 2\.8\.0/);
    expect(readdirSync(join(folder, "bin"))).toEqual([]);
  });
});

describe("the package of the system", () => {
  /** Replaces apt-get and dpkg-deb by ones for a package whose program prints `version`. */
  function writeApt(version: string): void {
    const scripts = {
      "apt-get": `#!/bin/sh\n[ "$1" = download ] && echo deb > nats-server_1_all.deb\n`,
      "dpkg-deb": `#!/bin/sh\nmkdir -p "$3/usr/sbin"\nprintf '#!/bin/sh\\necho nats-server: v${version}\\n' > "$3/usr/sbin/nats-server"\n`,
    };
    for (const [name, text] of Object.entries(scripts)) {
      writeFileSync(join(path, name), text);
      chmodSync(join(path, name), 0o755);
    }
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
    writeFileSync(join(path, "apt-get"), "#!/bin/sh\necho W: a warning >&2\necho E: no network >&2\n[ $1 = update ]\n");
    chmodSync(join(path, "apt-get"), 0o755);

    const { message } = (await find().catch((caught: Error) => caught)) as Error;

    expect(message).toMatch(/^ {2}- the package of this system: E: no network( \(perhaps .*\))?$/m);
  });

  test("that is too old gives way to the official release", async () => {
    writeApt("2.7.0");
    addTools("tar", "gzip");
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
