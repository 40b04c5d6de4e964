import { readFileSync } from "node:fs";

/** Unit of times in /proc. */
const MS_PER_TICK = 10;

/** Returns the processor time of the main thread of a process, in milliseconds. */
export function mainThreadMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/task/${pid}/stat`, "latin1");
  // The name may have any characters. After it are the state and ten other fields.
  const [user = 0, system = 0] = stat
    .slice(stat.lastIndexOf(")") + 2)
    .split(" ")
    .slice(11, 13)
    .map(Number);
  return (user + system) * MS_PER_TICK;
}
