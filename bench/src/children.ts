import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";

/** Maximum output of a process that is kept for error messages, in characters. */
const TAIL_CHARS = 2_000;
const STOP_GRACE_MS = 3_000;

export type Child = {
  readonly name: string;
  readonly process: ChildProcess;
  readonly pid: number;
  /** Rejects when the process ends before it is stopped. Never resolves. */
  readonly died: Promise<never>;
  /** Last output to stdout and stderr. */
  tail(): string;
  stop(): Promise<void>;
};

/** Owns every process of a run, so that none outlives it. */
export class Children {
  readonly #running = new Set<Child>();

  start(name: string, command: string, args: readonly string[], options: SpawnOptions): Child {
    const child = superviseChild(name, spawn(command, args, options), (ended) => this.#running.delete(ended));
    this.#running.add(child);
    return child;
  }

  async stopAll(): Promise<void> {
    await Promise.all([...this.#running].map((child) => child.stop()));
  }

  /** Kills the processes synchronously, for the `exit` event. */
  killAll(): void {
    for (const child of this.#running) child.process.kill("SIGKILL");
  }
}

function superviseChild(name: string, process: ChildProcess, onEnd: (child: Child) => void): Child {
  let tail = "";
  const keep = (text: Buffer) => {
    tail = (tail + text.toString()).slice(-TAIL_CHARS);
  };
  process.stdout?.on("data", keep);
  process.stderr?.on("data", keep);

  let isStopping = false;
  const ended = new Promise<string>((resolve) => {
    process.on("error", (error) => resolve(error.message));
    process.once("close", (code, signal) => resolve(signal ? `killed by ${signal}` : `exit code ${code}`));
  });
  const died = ended.then((reason): Promise<never> => {
    onEnd(child);
    if (isStopping) return new Promise<never>(() => {});
    throw new Error(`${name} ended by itself: ${reason}\n${tail}`.trimEnd());
  });
  // Prevents an unhandled rejection while nobody awaits it.
  died.catch(() => {});

  const child: Child = {
    name,
    process,
    pid: process.pid ?? -1,
    died,
    tail: () => tail,
    stop: async () => {
      isStopping = true;
      if (process.pid === undefined || process.exitCode !== null || process.signalCode !== null) return;
      const exited = once(process, "exit");
      process.kill("SIGTERM");
      await Promise.race([exited, delay(STOP_GRACE_MS, undefined, { ref: false })]);
      if (process.exitCode === null && process.signalCode === null) process.kill("SIGKILL");
      await exited;
    },
  };
  return child;
}
