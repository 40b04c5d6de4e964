import { readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

/**
 * Runs inside a server and measures the longest tick of its event loop. The kernel counts only the time in which the
 * thread has a processor, so other processes on its core do not change the figure.
 */
const monitor = `
  import { openSync, readSync, writeFileSync } from "node:fs";
  import { tmpdir } from "node:os";
  import { join } from "node:path";
  const file = openSync("/proc/self/task/" + process.pid + "/schedstat");
  const bytes = Buffer.alloc(64);
  const workedMs = () => Number(bytes.toString("latin1", 0, readSync(file, bytes, 0, 64, 0)).split(" ")[0]) / 1e6;
  let last = workedMs();
  let longest = 0;
  setInterval(() => {
    const now = workedMs();
    longest = Math.max(longest, now - last);
    last = now;
  }, 2).unref();
  process.on("SIGUSR2", () => {
    writeFileSync(join(tmpdir(), "fanwire-bench-tick-" + process.pid), longest.toFixed(2) + "\\n");
    longest = 0;
  });
`;

const ANSWER_TIMEOUT_MS = 10_000;

/** Environment that lets {@link longestTickMs} ask a server of a single process. */
export const tickMonitor = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(monitor)}` };

/** Returns the longest tick of the server's event loop since the last call, in milliseconds of processor time. */
export async function longestTickMs(pid: number): Promise<number> {
  const file = join(tmpdir(), `fanwire-bench-tick-${pid}`);
  rmSync(file, { force: true });
  process.kill(pid, "SIGUSR2");
  for (const deadline = performance.now() + ANSWER_TIMEOUT_MS; performance.now() < deadline; await delay(5)) {
    const [figure, end] = readIfWritten(file).split("\n");
    if (end !== "") continue;
    rmSync(file);
    return Number(figure);
  }
  throw new Error("the server does not answer with its longest tick");
}

function readIfWritten(file: string): string {
  try {
    return readFileSync(file, "latin1");
  } catch {
    return "";
  }
}
