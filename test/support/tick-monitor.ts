import { expect } from "vitest";
import type { TestProcess } from "./process.ts";
import { until } from "./wait.ts";

/**
 * Runs inside a service and prints how long its main thread computed in its longest tick. The kernel counts only the
 * time that the thread has a processor, so that other work on the machine does not change the figure.
 */
const monitor = `
  import { openSync, readSync, writeSync } from "node:fs";
  const file = openSync("/proc/self/task/" + process.pid + "/schedstat");
  const bytes = Buffer.alloc(64);
  const workedMs = () => Number(bytes.toString("latin1", 0, readSync(file, bytes, 0, 64, 0)).split(" ")[0]) / 1e6;
  let last = workedMs();
  let longest = 0;
  const endTick = () => {
    const now = workedMs();
    longest = Math.max(longest, now - last);
    last = now;
  };
  const print = () => {
    writeSync(2, "longest tick " + longest.toFixed(1) + " end\\n");
    longest = 0;
  };
  setInterval(endTick, 2).unref();
  process.on("SIGUSR2", print);
  process.on("exit", () => {
    endTick();
    print();
  });
`;

/** Environment that lets {@link longestTickMs} ask a service of a single process. */
export const tickMonitor = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(monitor)}` };

type Monitored = { readonly process: TestProcess };

/** Returns the longest tick of the event loop since the last call, in milliseconds of processor time. */
export async function longestTickMs(service: Monitored): Promise<number> {
  const before = printedMs(service).length;
  service.process.kill("SIGUSR2");
  await until("the service prints its longest tick", () => printedMs(service).length > before);
  return printedMs(service).at(-1) ?? Number.NaN;
}

/** Every tick must be shorter than this, in milliseconds of processor time. */
const MAX_TICK_MS = 50;
/**
 * Rounds of a measurement. The other thread of the core, and the machine that runs this virtual one, lengthen a tick
 * now and then, and nothing shortens one.
 */
const ROUNDS = 3;

/**
 * Fails if the longest tick is 50 ms or longer in each of three rounds. Ends with the first round below that, and prints
 * all results.
 *
 * @param measure Does the work and returns the length of its longest tick.
 */
export async function expectShortTicks(what: string, measure: (round: number) => Promise<number>): Promise<void> {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS && least >= MAX_TICK_MS; round++) {
    const longest = await measure(round);
    console.log(`${what}: longest tick ${longest} ms of work`);
    least = Math.min(least, longest);
  }
  expect(least, `${what}, milliseconds`).toBeLessThan(MAX_TICK_MS);
}

/** Stops the service and returns its longest tick since the last call. */
export async function longestTickUntilExitMs(service: Monitored): Promise<number> {
  service.process.kill("SIGTERM");
  await until("the service has ended", () => service.process.end() !== undefined, 60_000);
  return printedMs(service).at(-1) ?? Number.NaN;
}

function printedMs({ process }: Monitored): number[] {
  return [...process.output().matchAll(/longest tick ([\d.]+) end/g)].map(([, ms]) => Number(ms));
}
