import { readdirSync, readFileSync } from "node:fs";

/** One process, from `/proc/<pid>/stat`. */
export type Stat = { parentPid: number; userTicks: number; systemTicks: number; residentPages: number };

/** Returns `pid` and its living descendants. */
export function processTree(pid: number): Stat[] {
  const stats = readAllStats();
  return [...stats].filter(([candidate]) => isInTree(candidate, pid, stats)).map(([, stat]) => stat);
}

function isInTree(pid: number, root: number, stats: Map<number, Stat>): boolean {
  for (let at: number | undefined = pid; at !== undefined && at > 0; at = stats.get(at)?.parentPid) {
    if (at === root) return true;
  }
  return false;
}

function readAllStats(): Map<number, Stat> {
  const stats = new Map<number, Stat>();
  for (const entry of readdirSync("/proc")) {
    const pid = Number(entry);
    if (!Number.isInteger(pid)) continue;
    const stat = readStat(pid);
    if (stat !== undefined) stats.set(pid, stat);
  }
  return stats;
}

function readStat(pid: number): Stat | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch {
    return undefined; // The process has ended since the folder was listed.
  }
  // proc(5): the second field is the name in parentheses, which may hold anything; state, the third, follows the last
  // one.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const field = (number: number) => Number(fields[number - 3]);
  return { parentPid: field(4), userTicks: field(14), systemTicks: field(15), residentPages: field(24) };
}
