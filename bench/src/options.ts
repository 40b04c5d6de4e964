import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { scenarios } from "./scenarios/all.ts";
import type { RunSettings, Scenario } from "./scenarios/scenario.ts";
import { servers } from "./servers/all.ts";

const resultsFolder = fileURLToPath(new URL("../results", import.meta.url));

export type Options = Omit<RunSettings, "progress"> & {
  scenarios: readonly Scenario[];
  jsonFile: string | undefined;
};

/** Error of the command line. */
export class UsageError extends Error {}

export function helpText(): string {
  const list = (items: readonly { name: string; summary: string }[]) =>
    items.map(({ name, summary }) => `  ${name.padEnd(18)} ${summary}`).join("\n");
  return `Usage: npm run bench -- [scenario…] [options]

Scenarios (default: all)
${list(scenarios)}

Servers, measured in turns (each scenario compares those that make sense in it)
${list(servers)}

Options
  --rounds N        how often each server is measured (default 3; 1 with --quick)
  --seconds N       length of a measurement at an even pace (a burst has none)
  --clients N       connections, in place of the scenario's own number
  --publications N  of a burst, in place of the scenario's own number
  --servers LIST    only these, comma-separated; ratios are to the first
  --peers           also what others offer, where it is installed
  --quick           tiny sizes, to check that everything works
  --json FILE       where all samples go, as JSON; a relative FILE lies in bench/results/ (default there: date and time; none with --quick)
  --help

Exit code: 0; 1 when a delivery was lost, repeated, out of order, or anything failed; 2 for a wrong command line.`;
}

/** `undefined`: help is wanted. Throws a UsageError. */
export function readOptions(args: readonly string[]): Options | undefined {
  const { values, positionals } = parse(args);
  if (values.help) return undefined;
  return {
    scenarios: choose("scenario", scenarios, positionals),
    servers:
      values.servers === undefined ? [] : choose("server", servers, values.servers.split(",")).map(({ name }) => name),
    peers: values.peers,
    rounds: positiveInteger("--rounds", values.rounds) ?? (values.quick ? 1 : 3),
    seconds: positiveInteger("--seconds", values.seconds),
    clients: positiveInteger("--clients", values.clients),
    publications: positiveInteger("--publications", values.publications),
    size: values.quick ? "quick" : "default",
    jsonFile: jsonFile(values.json ?? (values.quick ? undefined : `${fileTime(new Date())}.json`)),
  };
}

/** As `2026-11-27T13-06-42`: some file systems have no colons. */
function fileTime(date: Date): string {
  return date.toISOString().slice(0, 19).replaceAll(":", "-");
}

function jsonFile(name: string | undefined): string | undefined {
  return name === undefined ? undefined : resolve(resultsFolder, name);
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        rounds: { type: "string" },
        seconds: { type: "string" },
        clients: { type: "string" },
        publications: { type: "string" },
        servers: { type: "string" },
        peers: { type: "boolean", default: false },
        json: { type: "string" },
        quick: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/** The named ones, in their own order; all when none is named. */
function choose<Item extends { name: string }>(kind: string, all: readonly Item[], names: readonly string[]): Item[] {
  const unknown = names.find((name) => !all.some((item) => item.name === name));
  if (unknown !== undefined) throw new UsageError(`no such ${kind}: ${unknown}`);
  return all.filter((item) => names.length === 0 || names.includes(item.name));
}

function positiveInteger(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 1_000_000)
    throw new UsageError(`${flag} ${text}: not a positive integer`);
  return value;
}
