import type { Io } from "./io.ts";

/** The terminal, environment and signals of this process. */
export function terminalIo(env: NodeJS.ProcessEnv): Io {
  const interrupted = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    process.on(name, () => {
      // A second signal ends a command that does not stop.
      if (interrupted.signal.aborted) process.exit(1);
      interrupted.abort();
    });
  }
  // A reader such as `head` closes the pipe when it has enough, which is no error.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));
  return {
    env,
    write: (text) => void process.stdout.write(text),
    note: (line) => void process.stderr.write(`${line}\n`),
    readInput,
    isTerminal: process.stdout.isTTY === true,
    hasColors: process.stdout.isTTY === true && process.stdout.hasColors() && env.NO_COLOR === undefined,
    get columns() {
      return process.stdout.isTTY === true ? process.stdout.columns : undefined;
    },
    signal: interrupted.signal,
  };
}

async function readInput(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString();
}
