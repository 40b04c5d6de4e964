import { readFileSync } from "node:fs";

/** Linux counts in hundredths of a second, whatever its own clock. */
const MS_PER_TICK = 10;

/** How long the main thread of a process has worked so far, in milliseconds: however long it waited for a processor. */
export function mainThreadMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/task/${pid}/stat`, "latin1");
  // After the name, which may hold anything, come the state and ten more numbers.
  const [user = 0, system = 0] = stat
    .slice(stat.lastIndexOf(")") + 2)
    .split(" ")
    .slice(11, 13)
    .map(Number);
  return (user + system) * MS_PER_TICK;
}
