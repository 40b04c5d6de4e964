import { type Client, type ClientState, connect, type Publication } from "@fanwire/client";
import type { Command } from "commander";
import { WebSocket } from "ws";
import { clientUrl } from "../api/addresses.ts";
import { CommandError, type Io, paint, printable, writeJson } from "../io.ts";
import { mintToken } from "../tokens/mint.ts";

type TailOptions = {
  readonly url?: string;
  readonly token?: string;
  readonly since?: string;
  readonly count?: number;
  readonly json?: true;
};

const HELP = `
Examples:
  fanwire tail news 'orders.*'
  fanwire tail news --since 3kqv0n2t-1207       durable publications after a position, then live ones
  fanwire tail news --json --count 1

Without --token and FANWIRE_TOKEN, a token for these topics is signed with PUSHER_TOKEN_SECRET if that is set.
Publications to everyone are printed as well. Ctrl-C ends it.`;

/** Adds `fanwire tail`, which subscribes as a client does and prints what it receives. */
export function addTail(program: Command, io: Io): void {
  program
    .command("tail")
    .description("Subscribe to topics or patterns and print their publications.")
    .argument("<topic...>", "topics, or patterns such as 'orders.*' and 'orders.>'")
    .option("--url <url>", "URL of a pusher")
    .option("--token <token>", "token (JWT) of the client")
    .option("--since <position>", "resume from this position")
    .option("-n, --count <number>", "end after this number of publications", parseCount)
    .option("--json", "print each publication as a line of JSON")
    .addHelpText("after", HELP)
    .action((topics: string[], options: TailOptions) => tail(io, topics, options));
}

function parseCount(text: string): number {
  if (!/^[1-9][0-9]{0,8}$/.test(text)) throw new CommandError(`--count must be a whole number from 1, not ${text}.`);
  return Number(text);
}

async function tail(io: Io, topics: readonly string[], options: TailOptions): Promise<void> {
  const url = clientUrl(io.env, options.url);
  const ended = new Ending(io.signal);
  let left = options.count ?? Number.POSITIVE_INFINITY;
  const client: Client = connect({
    url,
    topics,
    token: await tokenFor(io, topics, options.token),
    since: options.since,
    WebSocket,
    onPublication: (publication) => {
      if (left-- <= 0) return;
      if (options.json) writeJson(io, jsonOf(publication));
      else io.write(`${lineOf(io, publication)}\n`);
      if (left === 0) ended.resolve();
    },
    onState: (state) => onState(io, state, { url, topics, ended }),
    onRefused: (topic, error) => ended.reject(new CommandError(`The pusher refuses ${topic}: ${error.message}`)),
  });
  await ended.promise.finally(() => client.close());
}

async function tokenFor(io: Io, topics: readonly string[], given: string | undefined): Promise<string | undefined> {
  const token = given ?? (io.env.FANWIRE_TOKEN || undefined);
  if (token !== undefined || !io.env.PUSHER_TOKEN_SECRET) return token;
  return mintToken(io, { topics, publish: [], presence: [], lifetimeSeconds: undefined });
}

type Tailing = { readonly url: string; readonly topics: readonly string[]; readonly ended: Ending };

/** Notes go to standard error, so that standard output has only publications. */
function onState(io: Io, state: ClientState, { url, topics, ended }: Tailing): void {
  if (state.state === "open") {
    const recovered = state.recovered === null ? "" : `, recovered: ${state.recovered}`;
    io.note(paint(io, "dim", `connected to ${url} as ${state.address}, subscribed to ${topics.join(" ")}${recovered}`));
  } else if (state.state === "waiting") {
    const reason = state.reason === "" ? "" : `: ${state.reason}`;
    io.note(
      paint(
        io,
        "yellow",
        `not connected to ${url} (${state.code}${reason}), next try in ${Math.round(state.retryInMs)} ms`,
      ),
    );
  } else if (state.state === "closed" && !ended.isOver) {
    ended.reject(new CommandError(`${url} closed the connection permanently (${state.code}): ${state.reason}`));
  }
}

function lineOf(io: Io, { topic, event, data, position, recovered }: Publication): string {
  const text =
    typeof data === "string" ? printable(data) : `${data.length} bytes, base64 ${Buffer.from(data).toString("base64")}`;
  const marks = [position, recovered ? "replayed" : undefined].filter((each) => each !== undefined);
  return [
    paint(io, "dim", new Date().toISOString().slice(11, 23)),
    paint(io, "cyan", printable(topic ?? "(no topic)")),
    paint(io, "bold", printable(event)),
    text,
    ...(marks.length === 0 ? [] : [paint(io, "dim", `(${marks.join(", ")})`)]),
  ].join("  ");
}

function jsonOf({ data, ...publication }: Publication): Record<string, unknown> {
  if (typeof data === "string") return { ...publication, data };
  return { ...publication, data: Buffer.from(data).toString("base64"), encoding: "base64" };
}

/** The end of the command: resolved by Ctrl-C or by the last publication. */
class Ending {
  isOver = false;
  resolve: () => void = () => undefined;
  reject: (error: CommandError) => void = () => undefined;
  readonly promise: Promise<void>;

  constructor(signal: AbortSignal) {
    this.promise = new Promise<void>((resolve, reject) => {
      this.resolve = () => {
        this.isOver = true;
        resolve();
      };
      this.reject = (error) => {
        this.isOver = true;
        reject(error);
      };
    });
    signal.addEventListener("abort", () => this.resolve(), { once: true });
  }
}
