/** Everything that a command reads and writes. Tests replace it. */
export type Io = {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Writes text to standard output, as it is. */
  write(text: string): void;
  /** Writes one line to standard error: notes and errors, never results. */
  note(line: string): void;
  /** Reads standard input to its end. */
  readInput(): Promise<string>;
  /** Whether standard output is a terminal, so that a screen may be redrawn. */
  readonly isTerminal: boolean;
  readonly hasColors: boolean;
  /** Columns of the terminal; undefined if there is none. */
  readonly columns: number | undefined;
  /** Aborts on Ctrl-C. */
  readonly signal: AbortSignal;
};

/** Ends a command with exit code 1. The message is printed without a stack trace and names what to do. */
export class CommandError extends Error {
  override name = "CommandError";
}

export type Color = "bold" | "dim" | "red" | "green" | "yellow" | "cyan";

const CODES: Readonly<Record<Color, number>> = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 };

/** Returns the text in a colour, or unchanged where colours would disturb. */
export function paint({ hasColors }: Pick<Io, "hasColors">, color: Color, text: string): string {
  return hasColors ? `\u001B[${CODES[color]}m${text}\u001B[0m` : text;
}

/** Writes a value as one line of JSON. */
export function writeJson(io: Io, value: unknown): void {
  io.write(`${JSON.stringify(value)}\n`);
}

/** Replaces control characters, because received names and content must not control the terminal. */
export function printable(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, (character) => {
    if (character === "\n") return "\\n";
    if (character === "\t") return "\\t";
    return `\\x${(character.codePointAt(0) ?? 0).toString(16).padStart(2, "0")}`;
  });
}
