import { createRequire } from "node:module";

/**
 * Start of the error message of uWebSockets.js when its binary for this Node does not load. The cause is on the next
 * lines.
 */
const UNLOADABLE = "This version of uWS.js supports only";

type Runtime = { readonly node: string; readonly system: string; readonly glibc: string | undefined };

/** Loads uWebSockets.js. Returns what to do when it does not load on this machine. */
export function uwsLoadProblem(): string | undefined {
  try {
    createRequire(import.meta.url)("uWebSockets.js");
    return undefined;
  } catch (error) {
    const problem = uwsProblem(error);
    if (problem === undefined) throw error;
    return problem;
  }
}

/** Returns what to do when uWebSockets.js does not load on this machine, or `undefined` for any other error. */
export function uwsProblem(error: unknown): string | undefined {
  return error instanceof Error ? uwsHelp(error.message, currentRuntime()) : undefined;
}

/** Does the same as {@link uwsProblem} for the message of an error and a given runtime. */
export function uwsHelp(message: string, { node, system, glibc }: Runtime): string | undefined {
  if (!message.startsWith(UNLOADABLE)) return undefined;
  const needed = newest([...message.matchAll(/GLIBC_(\d+(?:\.\d+)*)' not found/g)].map(([, version = ""]) => version));
  if (needed !== undefined) {
    const found = glibc === undefined ? "an older one" : glibc;
    return `with Node ${node} uWebSockets.js needs glibc ${needed}, and this system has ${found}. Use Node 20, or a newer system such as Debian 13 or Ubuntu 24.04.`;
  }
  if (/Cannot find module/.test(message)) {
    return `uWebSockets.js has no build for Node ${node} on ${system}. Use Node 20, 22 or 24.`;
  }
  const musl = glibc === undefined && system.startsWith("linux") ? " It needs glibc, which Alpine Linux lacks." : "";
  return `uWebSockets.js does not load on Node ${node}, ${system}: ${message.trim().split("\n").at(-1)}.${musl}`;
}

function newest(versions: readonly string[]): string | undefined {
  return versions.toSorted((a, b) => a.localeCompare(b, "en", { numeric: true })).at(-1);
}

function currentRuntime(): Runtime {
  // @types/node declares no members. The version is absent on systems without glibc.
  const { header } = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  return {
    node: process.versions.node,
    system: `${process.platform} ${process.arch}`,
    glibc: header?.glibcVersionRuntime,
  };
}
