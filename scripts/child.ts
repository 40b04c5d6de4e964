import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";

const rememberedLines = 12;

export type ChildOptions = {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  onLine(line: string): void;
};

/** A process we started, and everything it started. */
export class Child {
  readonly name: string;
  readonly pid: number | undefined;
  /** How it ended, in words; resolves when it did and its last lines were read. Never rejects. */
  readonly ended: Promise<string>;
  readonly #process: ChildProcess;
  #lastLines: string[] = [];
  #hasEnded = false;

  constructor({ name, command, args, cwd, env, onLine }: ChildOptions) {
    // A group of its own: Ctrl-C in a terminal signals the whole foreground group, and a service that hears SIGINT
    // from the terminal and then SIGTERM from us would take the second for "end at once".
    const child = spawn(command, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"], detached: true });
    this.#process = child;
    this.name = name;
    this.pid = child.pid;
    for (const input of [child.stdout, child.stderr]) {
      createInterface({ input }).on("line", (line) => {
        this.#lastLines = [...this.#lastLines, line].slice(-rememberedLines);
        onLine(line);
      });
    }

    const closed = new Promise((resolve) => child.once("close", resolve));
    this.ended = new Promise((resolve) => {
      child.once("error", (error) => resolve(`it could not be run: ${error.message}`));
      child.once("exit", async (code, signal) => {
        this.#hasEnded = true;
        // What it left running would hold its port, and the pipes that "close" waits for.
        this.#signalGroup("SIGKILL");
        await Promise.race([closed, delay(1_000)]);
        resolve(signal ? `ended by ${signal}` : `exit code ${code}`);
      });
    });
  }

  /** The latest lines it wrote, oldest first. */
  get lastLines(): readonly string[] {
    return this.#lastLines;
  }

  /** Asks it to stop and waits until it has. */
  async stop(): Promise<void> {
    // Not process.kill: that throws for a process that is gone, and Node may not have told us of its end yet.
    this.#process.kill("SIGTERM");
    await this.ended;
  }

  /** Ends it and all it started, at once. */
  kill(): void {
    if (!this.#hasEnded) this.#signalGroup("SIGKILL");
  }

  #signalGroup(signal: NodeJS.Signals): void {
    if (this.pid === undefined) return;
    try {
      process.kill(-this.pid, signal);
    } catch {
      // Nothing of the group is left.
    }
  }
}
