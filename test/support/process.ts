import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

type Exit = { readonly code: number | null; readonly signal: NodeJS.Signals | null };

export type TestProcess = ReturnType<typeof startProcess>;

/** Starts a process with `env`, PATH and HOME only, in the repository by default. */
export function startProcess(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  cwd: string = ROOT,
) {
  const child: ChildProcess = spawn(command, args, {
    cwd,
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
    /** Everything written to standard output and error so far. */
    output: () => output,
    /** Parsed log lines so far. */
    logLines: () =>
      output
        .split("\n")
        .filter((line) => line.startsWith("{") && line.endsWith("}"))
        .map((line) => JSON.parse(line) as Record<string, unknown>),
    /** How the process ended, or `undefined` while it runs. */
    exit: () => exit,
    /** The same, but defined only after all output of the process and its children is read. */
    end: () => end,
    kill: (signal: NodeJS.Signals) => void child.kill(signal),
    /** Stops reading the output, and leaves the pipe open. */
    pauseOutput: () => streams.forEach((stream) => void stream?.pause()),
    /** Closes the pipe, as when the reader of the output is killed. */
    closeOutput: () => streams.forEach((stream) => void stream?.destroy()),
    /** Resolves with the exit code after a signal. */
    stop,
    [Symbol.asyncDispose]: async () => void (await stop("SIGKILL")),
  };
}

const FROM_SOURCE = ["--conditions=@fanwire/source", "--import", "tsx"];

export type ServiceName = "pusher" | "publisher" | "channel" | "webhooks";

/**
 * Starts a service from source. With FANWIRE_TEST_BUILT=1 starts it as built, three times faster, and with `bundled` as
 * `npm test` bundles it, again three times faster. `root` is the source of another release.
 */
export function startService(app: ServiceName, env: Readonly<Record<string, string>>, root = ROOT): TestProcess {
  const built = root === ROOT ? process.env.FANWIRE_TEST_BUILT : undefined;
  return startProcess(process.execPath, programOf(app, built), env, root);
}

function programOf(app: ServiceName, built: string | undefined): string[] {
  if (built === "bundled") return [`apps/${app}/dist-bundled/main.js`];
  if (built === "1") return [`apps/${app}/dist/main.js`];
  return [...FROM_SOURCE, `apps/${app}/src/main.ts`];
}

/** Returns whether a process of this machine runs. */
export function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
