import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export type ShiftedClock = AsyncDisposable & {
  /** For the processes whose clock it is to be. */
  readonly env: Record<string, string>;
  /** How far it is ahead, or behind when it is negative. Processes have it a tenth of a second later. */
  shift(offsetMs: number): Promise<void>;
};

/** A clock that can be made to jump, of Node processes alone: what the machine's clock says remains. */
export async function createShiftedClock(): Promise<ShiftedClock> {
  const folder = await mkdtemp(join(tmpdir(), "fanwire-clock-"));
  const path = join(folder, "offset");
  const shift = async (offsetMs: number) => {
    // Never seen half written.
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
