import type { Fault } from "./faults.ts";

/** Runs of fewer seconds leave out faults that take long. */
const LONG_RUN_SECONDS = 300;

export type Surroundings = {
  /** Version of the running nats-server, as in `2.9.10`. */
  readonly server: string;
  /** Whether a NATS node has a disk of its own. */
  readonly hasDisk: boolean;
  readonly seconds: number;
  /** Parts of names, separated by `|`. Only faults whose name contains one are selected. */
  readonly only: string;
};

export type Selection = {
  readonly faults: readonly Fault[];
  /** One line for each reason why faults were left out. */
  readonly skipped: readonly string[];
};

/** Returns the selected faults that this machine and its nats-server allow, and the reasons for the others. */
export function selectFaults(all: readonly Fault[], surroundings: Surroundings): Selection {
  const { server, hasDisk, seconds, only } = surroundings;
  const isWanted = ({ name, isLong }: Fault) =>
    only.split("|").some((part) => name.includes(part)) && !(isLong && only === "" && seconds < LONG_RUN_SECONDS);
  const isTooOld = ({ minServer }: Fault) => minServer !== undefined && !isAtLeast(server, minServer);
  const lacksDisk = ({ needsDisk }: Fault) => needsDisk === true && !hasDisk;

  const wanted = all.filter(isWanted);
  return {
    faults: wanted.filter((fault) => !isTooOld(fault) && !lacksDisk(fault)),
    skipped: [
      ...describe("needs a newer nats-server", wanted.filter(isTooOld)),
      ...describe("needs a node with a disk of its own", wanted.filter(lacksDisk)),
    ],
  };
}

function describe(reason: string, faults: readonly Fault[]): string[] {
  return faults.length === 0 ? [] : [`skipped, ${reason}: ${faults.map(({ name }) => name).join(", ")}`];
}

/**
 * Returns whether a version is the minimum or newer. An unreadable version counts as 0. Suffixes as in `2.12.0-RC.1`
 * are ignored.
 */
export function isAtLeast(version: string, minimum: string): boolean {
  const [actual, least] = [version, minimum].map((text) =>
    text.split(/[.-]/, 3).map((part) => Number.parseInt(part, 10) || 0),
  );
  for (const at of [0, 1, 2]) {
    const difference = (actual?.[at] ?? 0) - (least?.[at] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}
