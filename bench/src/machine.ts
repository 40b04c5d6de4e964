import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg, release } from "node:os";
import { SetupError } from "./setup-error.ts";

/** Machine and versions of a run, without which figures are meaningless. */
export type Machine = {
  cpu: string;
  cores: number;
  kernel: string;
  /** Affects when pending packets are sent, also on loopback. */
  congestionControl: string;
  /** Load average of the minute before the run. Well above 0, other processes were active. */
  loadAverage: number;
  node: string;
  natsServer: string;
  /** Versions of the libraries of the servers. */
  packages: Readonly<Record<string, string>>;
  commit: string;
  date: string;
};

const compared = ["uWebSockets.js", "@nats-io/transport-node", "hono", "@hono/node-server", "ws", "socket.io"];

export function describeMachine(): Machine {
  const changes = output("git", ["status", "--porcelain"]);
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: availableParallelism(),
    kernel: release(),
    congestionControl: readFileSync("/proc/sys/net/ipv4/tcp_congestion_control", "latin1").trim(),
    loadAverage: loadavg()[0] ?? 0,
    node: process.version,
    natsServer: output("nats-server", ["--version"])?.replace(/^nats-server: /, "") ?? "absent",
    packages: Object.fromEntries(compared.map((name) => [name, versionOf(name)])),
    commit: (output("git", ["rev-parse", "--short", "HEAD"]) ?? "none") + (changes ? " with changes" : ""),
    date: new Date().toISOString(),
  };
}

/** Throws, with advice, when a process may not open that number of connections on this machine. */
export function requireOpenFiles(connections: number): void {
  // Files besides the connections: modules, pipes, NATS, the admin port.
  const needed = connections + 200;
  const limits = readFileSync("/proc/self/limits", "latin1");
  // Node raises its soft limit to the hard one when it starts.
  const limit = /^Max open files +\S+ +(\S+)/m.exec(limits)?.[1];
  if (limit === "unlimited" || Number(limit) >= needed) return;
  throw new SetupError(
    `${connections} connections need ${needed} open files, the limit is ${limit}. Raise it in this shell, as root: ulimit -n 65536 (in a container: --ulimit nofile=65536), or ask for less with --clients.`,
  );
}

function versionOf(name: string): string {
  const file = new URL(`../../node_modules/${name}/package.json`, import.meta.url);
  return String(JSON.parse(readFileSync(file, "utf8")).version);
}

function output(command: string, args: string[]): string | undefined {
  try {
    return execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  } catch {
    return undefined;
  }
}
