import { execFile } from "node:child_process";
import { access, chmod, copyFile, mkdir, mkdtemp, readFile, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, delimiter, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { unpackPrograms } from "../start/debian-package.ts";

type Tool = {
  readonly program: string;
  /** Debian package. */
  readonly package: string;
  readonly tests: string;
  /** Path where the tests expect the program. Without it they search PATH. */
  readonly path?: string;
  /** Arguments with which the program succeeds if the tool is there, for a tool that is a part of a program. */
  readonly probe?: readonly string[];
  /** Programs to unpack. The package is not installed, because it would start a service. */
  readonly unpacks?: readonly string[];
};

export const testTools: readonly Tool[] = [
  { program: "chromium", package: "chromium", tests: "the tests in a browser", path: "/usr/bin/chromium" },
  { program: "php", package: "php-cli", tests: "the comparisons with PHP" },
  {
    program: "php",
    package: "php-curl",
    tests: "the tests of the example in PHP",
    probe: ["-r", "exit(function_exists('curl_init') ? 0 : 1);"],
  },
  { program: "openssl", package: "openssl", tests: "the tests with certificates" },
  {
    program: "promtool",
    package: "prometheus",
    tests: "the tests of alert rules and dashboard",
    unpacks: ["promtool", "prometheus"],
  },
  { program: "haproxy", package: "haproxy", tests: "the tests behind HAProxy", path: "/usr/sbin/haproxy" },
  { program: "nginx", package: "nginx", tests: "the tests behind nginx", unpacks: ["nginx"] },
  { program: "caddy", package: "caddy", tests: "the tests behind Caddy", unpacks: ["caddy"] },
];

const installTimeoutMs = 600_000;
const maxTries = 3;

export type TestToolsOptions = {
  readonly env: NodeJS.ProcessEnv;
  readonly tools: readonly Tool[];
  readonly isRoot: boolean;
  /** Path of os-release. */
  readonly osRelease: string;
  /** Folder on PATH for unpacked programs. */
  readonly programs: string;
  /** Pause before another try of a failed installation. */
  readonly retryMs: number;
  say(line: string): void;
};

/**
 * Installs tools that some tests need, on Debian as root. Returns a sentence for each tool that is still missing, with
 * the skipped tests and the command that installs it.
 */
export async function ensureTestTools(options: TestToolsOptions): Promise<string[]> {
  let missing = await missingTools(options);
  if (missing.length > 0 && options.isRoot && (await isDebian(options.osRelease))) {
    const installed = missing.filter(({ unpacks }) => unpacks === undefined);
    if (installed.length > 0) await install(installed, options);
    for (const tool of missing) await unpack(tool, options);
    missing = await missingTools(options);
  }
  return missing.map(({ program, package: name, tests, path = "on PATH", probe }) => {
    const tool = probe === undefined ? `${program} (${path})` : name;
    return `without ${tool} ${tests} are skipped; on Debian: apt-get install --no-install-recommends ${name}`;
  });
}

/** Unpacks the programs of a tool that has some. */
async function unpack({ package: name, unpacks }: Tool, options: TestToolsOptions): Promise<void> {
  if (unpacks === undefined) return;
  const { env, programs, say } = options;
  say(`Unpacking ${unpacks.join(", ")} from the package ${name} …`);
  const folder = await mkdtemp(join(tmpdir(), "fanwire-tool-"));
  try {
    const signal = AbortSignal.timeout(installTimeoutMs);
    await mkdir(programs, { recursive: true });
    for (const path of await unpackPrograms(name, unpacks, { folder, env, signal, say })) await keep(path, programs);
  } catch (error) {
    say(`Not unpacked: ${(error as Error).message.trim().split("\n").at(-1)}`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Renames the program into place, so that no process runs an incomplete one. */
async function keep(path: string, folder: string): Promise<void> {
  const kept = join(folder, basename(path));
  const unfinished = `${kept}.${process.pid}`;
  await copyFile(path, unfinished);
  await chmod(unfinished, 0o755);
  await rename(unfinished, kept);
}

async function missingTools({ tools, env }: TestToolsOptions): Promise<Tool[]> {
  const found = await Promise.all(tools.map((tool) => isThere(tool, env)));
  return tools.filter((_tool, at) => !found[at]);
}

async function isThere({ program, path, probe }: Tool, { PATH = "" }: NodeJS.ProcessEnv): Promise<boolean> {
  if (probe !== undefined) return succeeds(program, probe, PATH);
  const paths = path === undefined ? PATH.split(delimiter).map((folder) => join(folder, program)) : [path];
  const found = await Promise.all(
    paths.map((each) =>
      access(each).then(
        () => true,
        () => false,
      ),
    ),
  );
  return found.includes(true);
}

function succeeds(program: string, args: readonly string[], PATH: string): Promise<boolean> {
  return promisify(execFile)(program, args, { env: { PATH } }).then(
    () => true,
    () => false,
  );
}

/** Returns false on Ubuntu, whose chromium is a snap that does not run everywhere. */
async function isDebian(osRelease: string): Promise<boolean> {
  return /^ID=debian$/m.test(await readFile(osRelease, "utf8").catch(() => ""));
}

/** Retries, because mirrors fail sometimes. */
async function install(tools: readonly Tool[], options: TestToolsOptions): Promise<void> {
  const names = tools.map(({ package: name }) => name);
  const env = { ...options.env, DEBIAN_FRONTEND: "noninteractive" };
  const apt = (...args: string[]) => promisify(execFile)("apt-get", args, { env, timeout: installTimeoutMs });
  options.say(`Installing ${names.join(", ")} with apt-get …`);
  for (let tries = 1; tries <= maxTries; tries++) {
    try {
      await apt("update", "-q");
      await apt("install", "-yq", "--no-install-recommends", ...names);
      return;
    } catch (error) {
      const { message } = error as Error;
      options.say(`Attempt ${tries} failed: ${message.trim().split("\n").at(-1)}`);
    }
    if (tries < maxTries) await delay(options.retryMs * tries);
  }
}
