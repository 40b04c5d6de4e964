import { execFile } from "node:child_process";
import { promisify } from "node:util";

/** The version of Debian 12. Older ones lack RePublish or direct gets, which the history needs. */
const OLDEST_NATS = "2.9.0";

/** Returns the version in the output of `nats-server --version`, or undefined. */
export function parseNatsVersion(text: string): string | undefined {
  return /\bv?(\d+\.\d+\.\d+)/.exec(text)?.[1];
}

export function isOldNats(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [oldestMajor = 0, oldestMinor = 0] = OLDEST_NATS.split(".").map(Number);
  return major < oldestMajor || (major === oldestMajor && minor < oldestMinor);
}

export type NatsBinary =
  | { readonly ok: true; readonly version: string }
  | { readonly ok: false; readonly reason: string };

/** Checks that the program runs on this machine, is a nats-server, and is new enough. */
export async function checkNatsBinary(path: string): Promise<NatsBinary> {
  try {
    const { stdout } = await promisify(execFile)(path, ["--version"], { timeout: 10_000 });
    const version = parseNatsVersion(stdout);
    if (version === undefined) return { ok: false, reason: "prints no version" };
    if (isOldNats(version))
      return { ok: false, reason: `is version ${version}, and Fanwire needs ${OLDEST_NATS} or newer` };
    return { ok: true, version };
  } catch (error) {
    return { ok: false, reason: `does not run (${error instanceof Error ? error.message : String(error)})` };
  }
}
