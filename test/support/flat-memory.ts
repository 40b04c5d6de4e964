import { readFileSync } from "node:fs";
import { expect } from "vitest";

const MIB = 1_048_576;
/** Maximum number of rounds. Garbage collection needs a dozen at worst. */
const MAX_ROUNDS = 50;
const FLAT_MIB = 4;

/** Returns the resident memory of a process. */
export function residentBytes(pid: number): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kilobytes) * 1_024;
}

/**
 * Repeats `act` until memory did not grow over `rounds` repetitions, and prints the figures. A leak shows because it
 * grows in every round.
 */
export async function expectFlatMemory(pid: number, act: () => Promise<void>, rounds = 1): Promise<void> {
  const residentMib = [residentBytes(pid) / MIB];
  const grownMib = () => (residentMib.at(-1) ?? 0) - (residentMib.at(-1 - rounds) ?? 0);
  do {
    await act();
    residentMib.push(residentBytes(pid) / MIB);
  } while (residentMib.length <= rounds || (grownMib() > FLAT_MIB && residentMib.length < MAX_ROUNDS));

  console.log(`MiB before, and after each round: ${residentMib.map(Math.round).join(", ")}`);
  expect(grownMib()).toBeLessThanOrEqual(FLAT_MIB);
}
