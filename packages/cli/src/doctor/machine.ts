import { readFileSync } from "node:fs";
import { type Finding, findingsOf } from "./finding.ts";

const report = findingsOf("machine");
const OLDEST_NODE = [20, 19] as const;
/** Versions of Node for which uWebSockets.js has a build. */
const NODES_WITH_BUILD: readonly number[] = [20, 21, 22, 24, 25];
/** The native code of the pusher for Node 22 and newer needs this version of glibc. */
const GLIBC_FOR_NEW_NODE = 2.38;
/** Default of PUSHER_MAX_CONNECTIONS, and file descriptors for everything else. */
const DEFAULT_CONNECTIONS = 50_000;
const OTHER_FILES = 200;

/** Checks what this machine gives to a service that runs on it. */
export function checkMachine(env: Readonly<Record<string, string | undefined>>): Finding[] {
  return [checkNode(process.versions.node, glibcVersion()), checkOpenFiles(readLimits(), env.PUSHER_MAX_CONNECTIONS)];
}

/** `glibc` is undefined on systems without it, such as macOS and Alpine. */
export function checkNode(version: string, glibc: string | undefined): Finding {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1])) {
    return report.problem(`Node ${version} is too old.`, `Install Node ${OLDEST_NODE.join(".")} or newer.`);
  }
  if (!NODES_WITH_BUILD.includes(major)) {
    return report.problem(
      `Node ${version}: the pusher cannot start, because uWebSockets.js has no build for it.`,
      "Use Node 20, 22 or 24.",
    );
  }
  if (major >= 22 && glibc !== undefined && Number(glibc) < GLIBC_FOR_NEW_NODE) {
    return report.problem(
      `Node ${version} with glibc ${glibc}: the pusher cannot start.`,
      "Use Node 20, or a system with glibc 2.38 such as Debian 13 or Ubuntu 24.04.",
    );
  }
  return report.ok(`Node ${version}${glibc === undefined ? "" : `, glibc ${glibc}`}`);
}

function glibcVersion(): string | undefined {
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
  return header.glibcVersionRuntime;
}

/** Text of /proc/self/limits; undefined on systems without it. */
function readLimits(): string | undefined {
  try {
    return readFileSync("/proc/self/limits", "utf8");
  } catch {
    return undefined;
  }
}

/** Node raises the soft limit of open files to the hard one, so only the hard one counts. */
export function checkOpenFiles(limits: string | undefined, maxConnections: string | undefined): Finding {
  const [, hard] = /^Max open files\s+\S+\s+(\S+)/m.exec(limits ?? "") ?? [];
  if (hard === undefined) return report.skipped("the limit of open files is not known on this system");
  const wanted = Number(maxConnections || DEFAULT_CONNECTIONS) + OTHER_FILES;
  if (hard === "unlimited" || Number(hard) >= wanted) return report.ok(`up to ${hard} open files`);
  return report.warning(
    `A process may open ${hard} files: a worker accepts at most ${Math.max(0, Number(hard) - OTHER_FILES)} connections.`,
    `Raise the hard limit to ${wanted}: LimitNOFILE= of systemd, ulimits of a container, ulimit -Hn of a shell.`,
  );
}
