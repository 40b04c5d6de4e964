import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

type Exit = { readonly code: number | null; readonly signal: NodeJS.Signals | null };

export type TestProcess = AsyncDisposable & {
  readonly pid: number;
  /** Everything it wrote to standard output and error so far. */
  output(): string;
  /** Its log lines so far, parsed. */
  logLines(): Record<string, unknown>[];
  /** Whether it ended, and how. */
  exit(): Exit | undefined;
  /** The same, once all that it wrote has been read as well, by whoever it was written. */
  end(): Exit | undefined;
  kill(signal: NodeJS.Signals): void;
  /** From here on nobody reads what it writes, but could. */
  pauseOutput(): void;
  /** As if who reads what it writes had been killed. */
  closeOutput(): void;
  /** Resolves with the exit code after a signal. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
};

/** Starts a process whose environment is `env` and what every process needs, nothing of the test's own settings. */
export function startProcess(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): TestProcess {
  const child: ChildProcess = spawn(command, args, {
    cwd: ROOT,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  let exit: Exit | undefined;
  let end: Exit | undefined;
  const streams = [child.stdout, child.stderr];
  for (const stream of streams) stream?.on("data", (data: Buffer) => (output += data.toString()));
  child.once("error", (error) => (output += `${error}\n`));
  const exited = once(child, "exit").then(([code, signal]) => {
    exit = { code, signal };
  });
  child.once("close", (code, signal) => {
    end = { code, signal };
  });

  const stop = async (signal: NodeJS.Signals = "SIGTERM") => {
    if (exit === undefined) child.kill(signal);
    await exited;
    return child.exitCode;
  };
  if (child.pid === undefined) throw new Error(`could not start ${command}`);
  return {
    pid: child.pid,
    output: () => output,
    logLines: () =>
      output
        .split("\n")
        .filter((line) => line.startsWith("{") && line.endsWith("}"))
        .map((line) => JSON.parse(line) as Record<string, unknown>),
    exit: () => exit,
    end: () => end,
    kill: (signal) => void child.kill(signal),
    pauseOutput: () => streams.forEach((stream) => void stream?.pause()),
    closeOutput: () => streams.forEach((stream) => void stream?.destroy()),
    stop,
    [Symbol.asyncDispose]: async () => void (await stop("SIGKILL")),
  };
}

const FROM_SOURCE = ["--conditions=@fanwire/source", "--import", "tsx"];

/** Starts one of our services: from source, or as it was built, which starts three times faster, with FANWIRE_TEST_BUILT=1. */
export function startService(
  app: "pusher" | "publisher" | "channel",
  env: Readonly<Record<string, string>>,
): TestProcess {
  const isBuilt = process.env.FANWIRE_TEST_BUILT === "1";
  const args = isBuilt ? [`apps/${app}/dist/main.js`] : [...FROM_SOURCE, `apps/${app}/src/main.ts`];
  return startProcess(process.execPath, args, env);
}
