import { setTimeout as delay } from "node:timers/promises";
import type { Command } from "commander";
import { type ApiOptions, HttpApi } from "../api/http-api.ts";
import { CommandError, type Io, writeJson } from "../io.ts";
import { type ClusterView, drawScreen } from "../screen/cluster-screen.ts";

const CLEAR = "\u001B[H\u001B[J";

type TopOptions = ApiOptions & { readonly interval: number; readonly once?: true; readonly json?: true };

/** Adds `fanwire top`, which shows the cluster as the HTTP API describes it. */
export function addTop(program: Command, io: Io): void {
  program
    .command("top")
    .description("Show the workers, services, history and busiest topics of the cluster.")
    .option("--url <url>", "URL of a publisher")
    .option("--key <key>", "API key; other users of this machine see arguments, FANWIRE_API_KEY is private")
    .option("-i, --interval <seconds>", "seconds between two requests", parseSeconds, 2)
    .option("--once", "show the cluster once, as always if the output is no terminal")
    .option("--json", "print the answers of the API as lines of JSON")
    .action((options: TopOptions) => top(io, options));
}

function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (!(seconds >= 0.5 && seconds <= 3_600)) throw new CommandError("--interval must be from 0.5 to 3600 seconds.");
  return seconds;
}

async function top(io: Io, { interval, once, json, ...options }: TopOptions): Promise<void> {
  const api = new HttpApi(io, options);
  const repeats = !once && (io.isTerminal || json === true);
  do {
    const view = await look(api, repeats);
    if (json) writeJson(io, view);
    else io.write(`${repeats ? CLEAR : ""}${drawScreen(io, { ...view, url: api.url })}\n`);
    if (repeats) await delay(interval * 1_000, undefined, { signal: io.signal }).catch(() => undefined);
  } while (repeats && !io.signal.aborted);
}

/** An open screen stays open while the publisher restarts. */
async function look(api: HttpApi, repeats: boolean): Promise<ClusterView> {
  try {
    const [cluster, busiest] = await Promise.all([api.get("v1/cluster"), api.get("v1/topics?order=busiest&limit=10")]);
    return { at: new Date().toISOString(), cluster, topics: busiest } as ClusterView;
  } catch (error) {
    if (!repeats || !(error instanceof CommandError)) throw error;
    return { at: new Date().toISOString(), error: error.message };
  }
}
