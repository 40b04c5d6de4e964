import { ConfigError } from "@fanwire/service";

/** How uws.js begins its error when the build for this Node does not load. The cause follows, on lines of its own. */
const UNLOADABLE = "This version of uWS.js supports only";

type Runtime = { readonly node: string; readonly system: string; readonly glibc: string | undefined };

/**
 * Imports a module that needs uWebSockets.js.
 *
 * @throws ConfigError that says what to do when uWebSockets.js has no build that loads on this machine.
 */
export async function importWithUws<Module>(load: () => Promise<Module>): Promise<Module> {
  try {
    return await load();
  } catch (error) {
    const help = error instanceof Error ? uwsHelp(error.message, currentRuntime()) : undefined;
    throw help === undefined ? error : new ConfigError(help, { cause: error });
  }
}

/** Returns what to do about an error of loading uWebSockets.js; `undefined` when it is another error. */
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
  // Typed as any object by @types/node; absent where there is no glibc.
  const { header } = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  return {
    node: process.versions.node,
    system: `${process.platform} ${process.arch}`,
    glibc: header?.glibcVersionRuntime,
  };
}
