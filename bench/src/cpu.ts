import { readdirSync, readFileSync } from "node:fs";

/**
 * CPU time as the operating system accounts it: all of the scheduler's, user and system, in steps of one tick of 10 ms.
 * What the kernel does for a `send` counts as the sender's.
 */
export type CpuTime = { userMicros: number; systemMicros: number };

/** USER_HZ: fixed at 100 in the interface between Linux and user space. */
const TICK_MICROS = 10_000;

type Stat = { parentPid: number } & CpuTime;

/** Of `pid` and its descendants that live now; zero when there is none. */
export function cpuTimeOf(pid: number): CpuTime {
  const stats = readAllStats();
  const total: CpuTime = { userMicros: 0, systemMicros: 0 };
  for (const [candidate, stat] of stats) {
    if (!isInTree(candidate, pid, stats)) continue;
    total.userMicros += stat.userMicros;
    total.systemMicros += stat.systemMicros;
  }
  return total;
}

export function totalMicros({ userMicros, systemMicros }: CpuTime): number {
  return userMicros + systemMicros;
}

/** How long the cores of this machine were not idle, added up, since it started; time stolen by the host included. */
export function machineBusyMicros(): number {
  // proc(5): cpu user nice system idle iowait irq softirq steal; guest time, which follows, is part of user.
  const line = readFileSync("/proc/stat", "latin1").split("\n")[0] ?? "";
  const [user = 0, nice = 0, system = 0, , , irq = 0, softIrq = 0, steal = 0] = line.split(/ +/).slice(1).map(Number);
  return (user + nice + system + irq + softIrq + steal) * TICK_MICROS;
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
    return undefined; // It ended since the folder was listed.
  }
  // proc(5): the second field is the name in parentheses, which may hold anything; state, the third, follows the last one.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const micros = (field: number) => Number(fields[field - 3]) * TICK_MICROS;
  return { parentPid: Number(fields[1]), userMicros: micros(14), systemMicros: micros(15) };
}
