import { execFile } from "node:child_process";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

export type PackageOptions = {
  /** An empty folder for downloaded and unpacked files. The caller removes it. */
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
  say(line: string): void;
};

/**
 * Extracts programs from a Debian or Ubuntu package and returns their paths. Does not install the package, because that
 * needs root and may start a system service.
 *
 * @throws when there is no apt here, no such package, or a program is not in it.
 */
export async function unpackPrograms(
  packageName: string,
  programs: readonly string[],
  options: PackageOptions,
): Promise<string[]> {
  const { folder } = options;
  await downloadPackage(packageName, options);
  const archive = (await readdir(folder)).find((name) => name.endsWith(".deb"));
  if (archive === undefined) throw new Error("apt-get download left no package");
  await run("dpkg-deb", ["-x", archive, "unpacked"], options);
  const paths = await readdir(join(folder, "unpacked"), { recursive: true });
  return programs.map((program) => {
    const found = paths.find((path) => /(^|\/)s?bin\/[^/]+$/.test(path) && path.endsWith(`/${program}`));
    if (found === undefined) throw new Error(`there is no ${program} in ${archive}`);
    return join(folder, "unpacked", found);
  });
}

async function downloadPackage(packageName: string, options: PackageOptions): Promise<void> {
  const download = () => run("apt-get", ["download", "-q", packageName], options);
  try {
    await download();
  } catch (error) {
    if (isMissingProgram(error)) throw new Error("there is no apt-get on this machine", { cause: error });
    if (process.getuid?.() !== 0) {
      throw new Error(`${lastLine(error)} (perhaps "sudo apt-get update" helps)`, { cause: error });
    }
    options.say(`${lastLine(error)}; updating the lists of apt and trying again …`);
    await run("apt-get", ["update", "-q"], options);
    await download().catch((cause: unknown) => {
      throw new Error(lastLine(cause), { cause });
    });
  }
}

async function run(command: string, args: string[], { folder, env, signal }: PackageOptions): Promise<void> {
  await promisify(execFile)(command, args, { cwd: folder, env, signal, timeout: 180_000 });
}

function isMissingProgram(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}

/** Returns the last line of apt's output, which has the reason. */
function lastLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.trim().split("\n").at(-1) ?? message;
}
