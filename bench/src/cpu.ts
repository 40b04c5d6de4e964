import { readFileSync } from "node:fs";
import { processTree } from "./process-tree.ts";

/**
 * CPU time as the operating system accounts it, user and system, in ticks of 10 ms. The kernel's work for a `send`
 * counts for the sender.
 */
export type CpuTime = { userMicros: number; systemMicros: number };

/** USER_HZ: fixed at 100 in the interface between Linux and user space. */
const TICK_MICROS = 10_000;

/** Returns the CPU time of `pid` and its living descendants; zero when there is none. */
export function cpuTimeOf(pid: number): CpuTime {
  const total: CpuTime = { userMicros: 0, systemMicros: 0 };
  for (const { userTicks, systemTicks } of processTree(pid)) {
    total.userMicros += userTicks * TICK_MICROS;
    total.systemMicros += systemTicks * TICK_MICROS;
  }
  return total;
}

export function totalMicros({ userMicros, systemMicros }: CpuTime): number {
  return userMicros + systemMicros;
}

/** Returns the busy time of all cores since the start of the machine, including time stolen by the host. */
export function machineBusyMicros(): number {
  // proc(5): cpu user nice system idle iowait irq softirq steal; guest time, which follows, is part of user.
  const line = readFileSync("/proc/stat", "latin1").split("\n")[0] ?? "";
  const [user = 0, nice = 0, system = 0, , , irq = 0, softIrq = 0, steal = 0] = line.split(/ +/).slice(1).map(Number);
  return (user + nice + system + irq + softIrq + steal) * TICK_MICROS;
}
