import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export type ShiftedClock = AsyncDisposable & {
  /** Environment for the processes whose clock it is. */
  readonly env: Record<string, string>;
  /** How far the clock is ahead; negative when behind. Processes follow a tenth of a second later. */
  shift(offsetMs: number): Promise<void>;
};

/** A clock for Node processes that can jump. The clock of the machine stays as it is. */
export async function createShiftedClock(): Promise<ShiftedClock> {
  const folder = await mkdtemp(join(tmpdir(), "fanwire-clock-"));
  const path = join(folder, "offset");
  const shift = async (offsetMs: number) => {
    // Renamed into place, so that no process reads half of it.
    await writeFile(`${path}.new`, String(offsetMs));
    await rename(`${path}.new`, path);
  };
  await shift(0);
  return {
    env: { CHAOS_CLOCK: path, NODE_OPTIONS: `--import=${new URL("./shifted-clock.mjs", import.meta.url)}` },
    shift,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
}
