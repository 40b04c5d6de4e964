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
 * Extracts the program from the Debian or Ubuntu package and returns its path. Does not install the package, because that
 * needs root and starts a system service on port 4222.
 *
 * @throws when there is no apt here, or no such package.
 */
export async function fetchNatsPackage(options: PackageOptions): Promise<string> {
  const { folder } = options;
  await downloadPackage(options);
  const archive = (await readdir(folder)).find((name) => name.endsWith(".deb"));
  if (archive === undefined) throw new Error("apt-get download left no package");
  await run("dpkg-deb", ["-x", archive, "unpacked"], options);
  const programs = await readdir(join(folder, "unpacked"), { recursive: true });
  const program = programs.find((path) => /(^|\/)s?bin\/nats-server$/.test(path));
  if (program === undefined) throw new Error(`there is no nats-server in ${archive}`);
  return join(folder, "unpacked", program);
}

async function downloadPackage(options: PackageOptions): Promise<void> {
  const download = () => run("apt-get", ["download", "-q", "nats-server"], options);
  try {
    await download();
  } catch (error) {
    if (isMissingProgram(error)) throw new Error("there is no apt-get on this machine", { cause: error });
    if (process.getuid?.() !== 0) {
      throw new Error(`${lastLine(error)} (perhaps "sudo apt-get update" helps)`, { cause: error });
    }
    options.say(`${lastLine(error)}; updating the lists of apt and trying again …`);
    await run("apt-get", ["update", "-q"], options);
    await download();
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
