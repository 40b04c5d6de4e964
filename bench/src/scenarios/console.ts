import { setTimeout as delay } from "node:timers/promises";
import { SignJWT } from "jose";
import { type Column, compare, type Measured } from "../comparison.ts";
import { type LoadClient, startLoadClient } from "../fan-out.ts";
import { twoDigits } from "../format.ts";
import type { Lab } from "../lab.ts";
import { startMeter } from "../meter.ts";
import { measureRounds } from "../rounds.ts";
import { rawProtocol, startPusher } from "../servers/pusher.ts";
import type { RunningServer } from "../servers/server.ts";
import { type Service, startService } from "../servers/service.ts";
import { longestTickMs, tickMonitor } from "../tick-meter.ts";
import type { LoadSettings, Scenario } from "./scenario.ts";

type Contestant = { readonly name: string; readonly paths: readonly string[] };
type Sample = Measured & {
  /** CPU use of a worker as a share of one core, on the average of all. */
  closedLoad: number;
  openLoad: number;
  longestTickMs: number;
  slowestAnswerMs: number;
};
type Load = {
  readonly connections: number;
  readonly topics: number;
  readonly seconds: number;
  /** Requests before the measurement, so that it does not include the compilation of code. */
  readonly warmUp: number;
};

/** One more worker than the CPU of which is measured: the monitor of its ticks uses CPU time itself. */
const WORKERS = 4;
const SECRET = "a secret of the bench, and of nobody else";
const POLL_EVERY_MS = 2_000;
/** A console may add this share of a core to a worker. */
const BAR = 0.01;

const overview = "/v1/cluster";
const contestants: readonly Contestant[] = [
  { name: "overview", paths: [overview] },
  { name: "connections", paths: ["/v1/connections?limit=200"] },
  { name: "busiest connections", paths: ["/v1/connections?order=busiest&limit=200"] },
  { name: "searched connections", paths: ["/v1/connections?search=7.7&limit=200"] },
  { name: "busiest users", paths: ["/v1/users?order=busiest&limit=200"] },
  { name: "busiest topics", paths: ["/v1/topics?order=busiest&limit=200"] },
  {
    name: "all together",
    paths: [
      overview,
      "/v1/connections?order=busiest&limit=200",
      "/v1/users?order=busiest&limit=200",
      "/v1/topics?order=busiest&limit=200",
    ],
  },
];

const addedLoad = ({ openLoad, closedLoad }: Sample): number => openLoad - closedLoad;
const hundredths = (load: number): string => `${(load * 100).toFixed(2)} %`;
const columns: readonly Column<Sample>[] = [
  { title: "worker CPU, closed", of: (sample) => sample.closedLoad, show: hundredths },
  { title: "open", of: (sample) => sample.openLoad, show: hundredths },
  { title: "added", of: addedLoad, show: hundredths },
  { title: "of the bar of 1 %", of: (sample) => addedLoad(sample) / BAR, show: twoDigits },
  { title: "longest tick, ms", of: (sample) => sample.longestTickMs, show: twoDigits },
  { title: "slowest answer, ms", of: (sample) => sample.slowestAnswerMs, show: twoDigits },
  { title: "foreign load", of: (sample) => sample.foreignLoad, show: hundredths },
];

/** CPU that an open console costs the workers, which are measured before and while its requests are sent. */
export const consoleScenario: Scenario = {
  name: "console",
  summary: "50,000 connections and 20,000 topics on four workers: lists and overview every 2 s, against none",
  connections: (settings) => Math.ceil(loadFor(settings).connections / WORKERS),
  run: async (lab, settings) => {
    const load = loadFor(settings);
    const cluster = await startCluster(lab, load);
    try {
      const rounds = await measureRounds(
        contestants,
        { label: "console", settings },
        {
          measure: (contestant) => measure(lab, cluster, contestant, load),
          inShort: (sample) => `${hundredths(addedLoad(sample))} added, longest tick ${sample.longestTickMs} ms`,
        },
      );
      const heading = `${load.connections} connections, ${load.topics} topics, ${WORKERS} workers; ${load.seconds} s closed, then open`;
      return compare({ name: "console", heading, contestants, rounds, columns, load });
    } finally {
      await cluster.stop();
    }
  },
};

function loadFor({ size, clients, seconds }: LoadSettings): Load {
  return size === "quick"
    ? { connections: clients ?? 400, topics: 100, seconds: seconds ?? 1, warmUp: 1 }
    : { connections: clients ?? 50_000, topics: 20_000, seconds: seconds ?? 20, warmUp: 30 };
}

type TestedCluster = {
  readonly workers: readonly RunningServer[];
  /** A worker with a monitor of its ticks. */
  readonly monitored: RunningServer;
  readonly publisher: Service;
  stop(): Promise<void>;
};

async function startCluster(lab: Lab, load: Load): Promise<TestedCluster> {
  const publisher = await startService(lab, "publisher");
  const parts = await Promise.all(Array.from({ length: WORKERS }, (_, at) => startPart(lab, load, at)));
  const [monitored, ...workers] = parts.map(({ worker }) => worker);
  if (monitored === undefined) throw new Error("no worker was started");
  return {
    workers,
    monitored,
    publisher,
    stop: async () => {
      await Promise.all(parts.map(({ client }) => client.stop()));
      await Promise.all([...parts.map(({ worker }) => worker), publisher].map((part) => part.stop()));
    },
  };
}

/** Starts one worker and its clients. Each client has another user, and subscribes to one of the topics. */
async function startPart(
  lab: Lab,
  { connections, topics }: Load,
  part: number,
): Promise<{ readonly worker: RunningServer; readonly client: LoadClient }> {
  const each = Math.ceil(connections / WORKERS);
  const key = new TextEncoder().encode(SECRET);
  const tokens = await Promise.all(
    Array.from({ length: each }, async (_, at) => {
      const index = part * each + at;
      const jwt = new SignJWT({ topics: [">"] }).setProtectedHeader({ alg: "HS256" }).setSubject(`user-${index}`);
      return `${await jwt.sign(key)}&topic=topic-${index % topics}`;
    }),
  );
  const dialect = { ...rawProtocol, path: "/?token={token}", tokens };
  const isMonitored = part === 0;
  const env = { PUSHER_TOKEN_SECRET: SECRET, ...(isMonitored && tickMonitor) };
  const worker = await startPusher(lab, { dialect, env });
  const client = await startLoadClient(lab);
  await client.call("open", { address: worker.address, dialect, connections: each });
  return { worker, client };
}

async function measure(
  lab: Lab,
  cluster: TestedCluster,
  { paths }: Contestant,
  { seconds, warmUp }: Load,
): Promise<Sample> {
  const { workers, monitored, publisher } = cluster;
  const meters = () => workers.map(({ pid }) => startMeter(pid, lab));
  // Code is compiled, and the sorted names are built, before the measurement.
  for (let time = 0; time < warmUp; time++) await poll(publisher, paths, performance.now());
  const closed = meters();
  await delay(seconds * 1_000);
  const before = closed.map((stop) => stop());
  await longestTickMs(monitored.pid);
  const opened = meters();
  const slowestAnswerMs = await poll(publisher, paths, performance.now() + seconds * 1_000);
  const after = opened.map((stop) => stop());
  return {
    closedLoad: average(before),
    openLoad: average(after),
    longestTickMs: await longestTickMs(monitored.pid),
    slowestAnswerMs,
    foreignLoad: after[0]?.foreignLoad ?? 0,
    fault: undefined,
  };
}

/**
 * Sends the requests of a console once, and again until `endsAt`. Returns the time of the slowest answer, in
 * milliseconds.
 */
async function poll({ port }: Service, paths: readonly string[], endsAt: number): Promise<number> {
  let slowestMs = 0;
  do {
    const next = performance.now() + POLL_EVERY_MS;
    for (const path of paths) {
      const startedAt = performance.now();
      const response = await fetch(`http://127.0.0.1:${port}${path}`);
      const body = (await response.json()) as { complete?: false };
      if (!response.ok || body.complete === false)
        throw new Error(`${path}: ${response.status}, ${JSON.stringify(body).slice(0, 300)}`);
      slowestMs = Math.max(slowestMs, performance.now() - startedAt);
    }
    await delay(Math.max(0, Math.min(next, endsAt) - performance.now()));
  } while (performance.now() < endsAt);
  return slowestMs;
}

function average(metered: readonly { readonly serverLoad: number }[]): number {
  return metered.reduce((sum, { serverLoad }) => sum + serverLoad, 0) / metered.length;
}
