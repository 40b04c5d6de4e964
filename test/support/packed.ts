import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll } from "vitest";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const MAX_OUTPUT = 16 << 20;

/** Runs a program of the repository or of PATH. A failure has its output. */
export async function run(
  cwd: string,
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<string> {
  try {
    // Vitest sets NODE_ENV, with which tools build for tests.
    const options = { cwd, maxBuffer: MAX_OUTPUT, env: { ...process.env, NODE_ENV: undefined, ...env } };
    return (await promisify(execFile)(command, args, options)).stdout;
  } catch (error) {
    const { stdout = "", stderr = "" } = error as { stdout?: string; stderr?: string }; // what execFile adds
    throw new Error(`${command} ${args.join(" ")} failed:\n${stdout}${stderr}`, { cause: error });
  }
}

/** Returns a folder outside the repository, which is removed after the tests of the file. */
export async function useFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "fanwire-packages-"));
  afterAll(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Packs a package of the repository as `npm publish` would, and returns the path of its tarball. */
export async function pack(name: "client" | "cli", folder: string): Promise<string> {
  const target = await mkdtemp(join(folder, "packed-"));
  await run(join(ROOT, "packages", name), "npm", ["pack", "--pack-destination", target]);
  const [tarball] = await readdir(target);
  if (tarball === undefined) throw new Error(`npm packed nothing in packages/${name}`);
  return join(target, tarball);
}

/** Writes an application, and installs its dependencies. Returns its folder. */
export async function createApp(folder: string, files: Readonly<Record<string, string | object>>): Promise<string> {
  for (const [path, content] of Object.entries(files)) {
    const target = join(folder, path);
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, typeof content === "string" ? content : JSON.stringify(content, null, 2));
  }
  await installApp(folder);
  return folder;
}

/** Installs the dependencies of an application. `replaced` has other sources for some of them. */
export async function installApp(folder: string, replaced: Readonly<Record<string, string>> = {}): Promise<void> {
  const path = join(folder, "package.json");
  const manifest = JSON.parse(await readFile(path, "utf8"));
  await writeFile(path, JSON.stringify({ ...manifest, dependencies: { ...manifest.dependencies, ...replaced } }));
  await run(folder, "npm", ["install", "--no-audit", "--no-fund", "--prefer-offline"]);
}
