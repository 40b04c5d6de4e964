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

/** A process that `npm start` started, with all its descendants. */
export class Child {
  readonly name: string;
  readonly pid: number | undefined;
  /** Resolves with how the process ended, once its last lines were read. Never rejects. */
  readonly ended: Promise<string>;
  readonly #process: ChildProcess;
  #lastLines: string[] = [];
  #hasEnded = false;

  constructor({ name, command, args, cwd, env, onLine }: ChildOptions) {
    // Each service has a separate process group, because Ctrl-C in a terminal signals the whole foreground group. A
    // service that receives SIGINT from the terminal and SIGTERM from here would take the second signal for "exit immediately".
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
        // Remaining descendants would keep its port and the pipes that "close" waits for.
        this.#signalGroup("SIGKILL");
        await Promise.race([closed, delay(1_000)]);
        resolve(signal ? `ended by ${signal}` : `exit code ${code}`);
      });
    });
  }

  /** Its latest lines of output, oldest first. */
  get lastLines(): readonly string[] {
    return this.#lastLines;
  }

  /** Sends SIGTERM and waits until the process has ended. */
  async stop(): Promise<void> {
    // Not process.kill, which throws for a process that has ended before Node reports it.
    this.#process.kill("SIGTERM");
    await this.ended;
  }

  /** Kills the process and all its descendants. */
  kill(): void {
    if (!this.#hasEnded) this.#signalGroup("SIGKILL");
  }

  #signalGroup(signal: NodeJS.Signals): void {
    if (this.pid === undefined) return;
    try {
      process.kill(-this.pid, signal);
    } catch {
      // No process of the group is left.
    }
  }
}
