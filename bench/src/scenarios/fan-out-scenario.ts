import { type Column, compare, isDisturbed } from "../comparison.ts";
import { type FanOutLoad, type FanOutSample, measureFanOut } from "../fan-out.ts";
import { grouped, mebibytes, millis, percent, twoDigits } from "../format.ts";
import type { Lab } from "../lab.ts";
import { measureRounds } from "../rounds.ts";
import { bare } from "../servers/bare.ts";
import { naive } from "../servers/naive.ts";
import { pusher, pusherFanwire } from "../servers/pusher.ts";
import type { Server } from "../servers/server.ts";
import type { LoadSettings, RunSettings, Scenario, ScenarioReport } from "./scenario.ts";

type Options = {
  name: string;
  summary: string;
  load(settings: LoadSettings): FanOutLoad;
  /** The others are compared with the first. */
  servers?: readonly Server[];
  /** Measured too with `--peers`. */
  peers?: readonly Server[];
};

const columns: readonly Column<FanOutSample>[] = [
  { title: "CPU µs/delivery", of: (sample) => sample.cpuMicrosPerDelivery, show: twoDigits },
  { title: "of it user", of: (sample) => sample.userMicrosPerDelivery, show: twoDigits },
  { title: "CPU", of: (sample) => sample.cpuMicrosPerDelivery, show: "ratio" },
  { title: "deliveries/s", of: (sample) => sample.deliveriesPerSecond, show: grouped },
  { title: "p50 ms", of: ({ latency }) => latency.p50Micros, show: millis },
  { title: "p99 ms", of: ({ latency }) => latency.p99Micros, show: millis },
  { title: "p99.9 ms", of: ({ latency }) => latency.p999Micros, show: millis },
  { title: "p99", of: ({ latency }) => latency.p99Micros, show: "ratio" },
  { title: "RSS MiB", of: (sample) => sample.residentBytes, show: mebibytes },
  { title: "server load", of: (sample) => sample.serverLoad, show: percent },
  { title: "client load", of: (sample) => sample.clientLoad, show: percent },
  { title: "foreign load", of: (sample) => sample.foreignLoad, show: percent },
  { title: "lost", of: ({ faults }) => faults.missing, show: grouped },
  { title: "repeated", of: ({ faults }) => faults.repeated, show: grouped },
  { title: "out of order", of: ({ faults }) => faults.late, show: grouped },
];

/** Returns a scenario in which every connection receives every publication, on one server after the other. */
export function fanOutScenario(options: Options): Scenario {
  const { name, summary, load: loadFor } = options;
  return {
    name,
    summary,
    connections: (settings) => loadFor(settings).clients,
    run: (lab, settings) => {
      const load = loadFor(settings);
      const contestants = serversOf(options, settings).map((server) => ({ name: server.name, server, load }));
      return compareFanOuts(lab, settings, { name, heading: loadText(load), contestants });
    },
  };
}

/** One server under one load. */
export type FanOutContestant = { name: string; server: Server; load: FanOutLoad };

export async function compareFanOuts(
  lab: Lab,
  settings: RunSettings,
  { name, heading, contestants }: { name: string; heading: string; contestants: readonly FanOutContestant[] },
): Promise<ScenarioReport> {
  const rounds = await measureRounds(
    contestants,
    { label: name, settings },
    { measure: ({ server, load }) => measureFanOut(server, load, lab), inShort },
  );
  const load = Object.fromEntries(contestants.map((contestant) => [contestant.name, contestant.load]));
  return compare({ name, heading, contestants, rounds, columns, load });
}

function serversOf(
  { servers = [bare, naive, pusher, pusherFanwire], peers = [] }: Options,
  settings: RunSettings,
): Server[] {
  if (settings.servers.length === 0) return [...servers, ...(settings.peers ? peers : [])];
  return [...servers, ...peers].filter(({ name }) => settings.servers.includes(name));
}

/** A load at an even pace, for some seconds. */
export function pacedLoad(clients: number, ratePerSecond: number, seconds: number, warmUpSeconds: number): FanOutLoad {
  return {
    clients,
    ratePerSecond,
    warmUp: Math.ceil(ratePerSecond * warmUpSeconds),
    publications: Math.ceil(ratePerSecond * seconds),
    latencyOfOneIn: 1,
  };
}

function loadText({ clients, ratePerSecond, publications, latencyOfOneIn }: FanOutLoad): string {
  const pace =
    ratePerSecond === "burst"
      ? `${grouped(publications)} publications together`
      : `${ratePerSecond} publications/s for ${(publications / ratePerSecond).toFixed(1)} s`;
  const sampling = latencyOfOneIn === 1 ? "every delivery" : `one publication in ${latencyOfOneIn}`;
  return `${grouped(clients)} clients, ${pace}; latency of ${sampling}`;
}

function inShort(sample: FanOutSample): string {
  const { cpuMicrosPerDelivery, latency, foreignLoad } = sample;
  return [
    `${cpuMicrosPerDelivery.toFixed(2)} µs/delivery`,
    `p99 ${(latency.p99Micros / 1000).toFixed(1)} ms`,
    ...(isDisturbed(sample) ? [`disturbed: others used ${Math.round(foreignLoad * 100)} % of a core`] : []),
    ...(sample.fault === undefined ? [] : ["FAULTS"]),
  ].join(", ");
}
