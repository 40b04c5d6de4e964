import { parseArgs } from "node:util";

export type SoakOptions = {
  readonly seconds: number;
  /** Seconds between two samples. */
  readonly everySeconds: number;
  /** Connections open at any moment. */
  readonly clients: number;
  /** Average lifetime of a connection in seconds. */
  readonly lifeSeconds: number;
  /** Publications a second. */
  readonly rate: number;
  /** Path of the chart. Its figures are written beside it as `.json`. */
  readonly svgFile: string;
};

export const helpText = `Usage: npm run soak -- [options]

One nats-server, one pusher with two workers, one publisher; connections, topics, users, tokens and publications that come and
go all the time. What the processes use meanwhile is drawn, and judged: does anything grow?

  --seconds N   length (default 600)
  --every N     seconds between two samples (default 5)
  --clients N   connections at any moment (default 200)
  --life N      seconds a connection lives on average (default 10)
  --rate N      publications a second (default 100)
  --svg FILE    the picture (default .fanwire/soak.svg); its figures go beside it as .json
  --help

Exit code: 0; 1 when something grew, or anything failed; 2 for a wrong command line.`;

/** An invalid command line. The message is for the user. */
export class UsageError extends Error {}

/** Returns `undefined` for `--help`. @throws UsageError */
export function readOptions(args: readonly string[]): SoakOptions | undefined {
  const values = parse(args);
  if (values.help) return undefined;
  return {
    seconds: positive("--seconds", values.seconds),
    everySeconds: positive("--every", values.every),
    clients: positive("--clients", values.clients),
    lifeSeconds: positive("--life", values.life),
    rate: positive("--rate", values.rate),
    svgFile: values.svg,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        seconds: { type: "string", default: "600" },
        every: { type: "string", default: "5" },
        clients: { type: "string", default: "200" },
        life: { type: "string", default: "10" },
        rate: { type: "string", default: "100" },
        svg: { type: "string", default: ".fanwire/soak.svg" },
        help: { type: "boolean", default: false },
      },
    }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function positive(flag: string, text: string): number {
  const value = Number(text);
  if (!(value > 0 && value <= 1_000_000)) throw new UsageError(`${flag} ${text}: not a number above 0`);
  return value;
}
