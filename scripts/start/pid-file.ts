import { execFile } from "node:child_process";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import type { Child } from "./child.ts";

type Recorded = { readonly name: string; readonly pid: number; readonly command: string };
type Record = { readonly owner: Recorded; readonly children: readonly Recorded[] };

/**
 * Records the running processes of this clone in a file: two nats-servers must never share a data folder, and processes
 * of a killed `npm start` must not keep the ports of the next one. Identifies a process by id and command line, because
 * ids are reused.
 */
export class Leftovers {
  readonly #path: string;
  #record: Record | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(path: string) {
    this.#path = path;
  }

  /**
   * Ends the processes of an earlier start, and records this start instead.
   *
   * @throws Error when that earlier start still runs.
   */
  async claim(say: (line: string) => void): Promise<void> {
    const earlier = await this.#read();
    if (earlier && earlier.owner.pid !== process.pid && (await isRunning(earlier.owner))) {
      throw new Error(`Fanwire runs already from this folder (process ${earlier.owner.pid}). Stop that one first.`);
    }
    // Ends services before the NATS that they use.
    for (const child of earlier?.children.toReversed() ?? []) {
      if (!(await isRunning(child))) continue;
      say(`Ending ${child.name} (process ${child.pid}), which an earlier start left running.`);
      await end(child);
    }
    this.#record = { owner: await describe("npm start", process.pid), children: [] };
    await this.#write();
  }

  async add({ name, pid }: Child): Promise<void> {
    if (pid === undefined || !this.#record) return;
    const added = await describe(name, pid);
    if (!this.#record) return;
    this.#record = { ...this.#record, children: [...this.#record.children, added] };
    await this.#write();
  }

  /** Must be called when all processes have stopped. */
  async clear(): Promise<void> {
    if (!this.#record) return;
    this.#record = undefined;
    await this.#writing;
    await rm(this.#path, { force: true });
  }

  async #read(): Promise<Record | undefined> {
    try {
      return JSON.parse(await readFile(this.#path, "utf8")) as Record; // written by #write
    } catch {
      return undefined;
    }
  }

  #write(): Promise<void> {
    const text = JSON.stringify(this.#record);
    this.#writing = this.#writing.then(async () => {
      await mkdir(dirname(this.#path), { recursive: true });
      await writeFile(this.#path, text);
    });
    return this.#writing;
  }
}

async function describe(name: string, pid: number): Promise<Recorded> {
  return { name, pid, command: (await readCommand(pid)) ?? "" };
}

async function isRunning({ pid, command }: Recorded): Promise<boolean> {
  return command !== "" && (await readCommand(pid)) === command;
}

/** Returns the command line of a process, or `undefined` when no process has this id. */
async function readCommand(pid: number): Promise<string | undefined> {
  try {
    if (process.platform === "linux") return (await readFile(`/proc/${pid}/cmdline`, "utf8")) || undefined;
    const { stdout } = await promisify(execFile)("ps", ["-ww", "-o", "command=", "-p", String(pid)]);
    return stdout.trim() || undefined;
  } catch {
    return undefined;
  }
}

async function end(child: Recorded): Promise<void> {
  signal(child.pid, "SIGTERM");
  for (const until = Date.now() + 10_000; Date.now() < until; await delay(50)) {
    if (!(await isRunning(child))) return;
  }
  // Each child leads a process group.
  signal(-child.pid, "SIGKILL");
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // The process has ended meanwhile.
  }
}
