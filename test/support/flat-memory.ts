import { readFileSync } from "node:fs";
import { expect } from "vitest";

const MIB = 1_048_576;
/** A heap that is not collected yet shrinks again, after a dozen turns at worst. */
const MOST_TURNS = 50;
const FLAT_MIB = 4;

/** What a process holds of the machine's memory, as the kernel says. */
export function residentBytes(pid: number): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kilobytes) * 1_024;
}

/**
 * Repeats `act` until so many turns of it together left memory as it was, and says how it went. What is left behind for good is left
 * behind each time.
 */
export async function expectFlatMemory(pid: number, act: () => Promise<void>, turns = 1): Promise<void> {
  const residentMib = [residentBytes(pid) / MIB];
  const grownMib = () => (residentMib.at(-1) ?? 0) - (residentMib.at(-1 - turns) ?? 0);
  do {
    await act();
    residentMib.push(residentBytes(pid) / MIB);
  } while (residentMib.length <= turns || (grownMib() > FLAT_MIB && residentMib.length < MOST_TURNS));

  console.log(`MiB before, and after each turn: ${residentMib.map(Math.round).join(", ")}`);
  expect(grownMib()).toBeLessThanOrEqual(FLAT_MIB);
}
