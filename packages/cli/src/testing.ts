import type { Io } from "./io.ts";

/** Returns an Io for tests, and what was written to it. */
export function testIo(
  env: Io["env"],
  { input = "", columns }: { readonly input?: string; readonly columns?: number } = {},
): { readonly io: Io; output(): string; notes(): string; interrupt(): void } {
  const interrupted = new AbortController();
  let output = "";
  let notes = "";
  const io: Io = {
    env,
    write: (text) => {
      output += text;
    },
    note: (line) => {
      notes += `${line}\n`;
    },
    readInput: async () => input,
    isTerminal: columns !== undefined,
    hasColors: false,
    columns,
    signal: interrupted.signal,
  };
  return { io, output: () => output, notes: () => notes, interrupt: () => interrupted.abort() };
}
