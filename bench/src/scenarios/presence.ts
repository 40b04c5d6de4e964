import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { SignJWT } from "jose";
import { WebSocket } from "ws";
import { nowMicros } from "../clock.ts";
import { type Column, compare, type Measured } from "../comparison.ts";
import { encodeContent } from "../content.ts";
import { totalMicros } from "../cpu.ts";
import { faultText, QUIET_MS, startLoadClient } from "../fan-out.ts";
import { grouped, millis, percent } from "../format.ts";
import type { Lab } from "../lab.ts";
import { startMeter } from "../meter.ts";
import { measureRounds } from "../rounds.ts";
import { fanwireProtocol, startPusher } from "../servers/pusher.ts";
import type { RunningServer } from "../servers/server.ts";
import type { LoadSettings, Scenario } from "./scenario.ts";

type Contestant = { name: string; members: number };
type Sample = Measured & {
  p50Micros: number;
  p99Micros: number;
  maxMicros: number;
  cpuMicrosPerDelivery: number;
  serverLoad: number;
};

const SECRET = "a secret of the bench, and of nobody else";
const JOIN = JSON.stringify({ id: 1, command: "subscribe", topic: "room", presence: true });
/** A join must be announced to all within this time. */
const BAR_MICROS = 250_000;
const SETTLED_WITHIN_MS = 120_000;

const columns: readonly Column<Sample>[] = [
  { title: "p50 ms", of: (sample) => sample.p50Micros, show: millis },
  { title: "p99 ms", of: (sample) => sample.p99Micros, show: millis },
  { title: "to all, ms", of: (sample) => sample.maxMicros, show: millis },
  { title: "of the bar of 250 ms", of: (sample) => sample.maxMicros / BAR_MICROS, show: percent },
  {
    title: "CPU µs/delivery, both workers",
    of: (sample) => sample.cpuMicrosPerDelivery,
    show: (value) => value.toFixed(2),
  },
  { title: "server load", of: (sample) => sample.serverLoad, show: percent },
  { title: "foreign load", of: (sample) => sample.foreignLoad, show: percent },
];

/** Each join has a content of the bench as `info`, so that the load client recognizes its announcement. */
export const presence: Scenario = {
  name: "presence",
  summary: "joins of a topic with 100, 1,000 and 10,000 members on two workers, announced to each of them",
  connections: (settings) => Math.max(...contestantsFor(settings).map(({ members }) => members)),
  run: async (lab, settings) => {
    const contestants = contestantsFor(settings);
    const joins = settings.size === "quick" ? 3 : 20;
    const rounds = await measureRounds(
      contestants,
      { label: "presence", settings },
      {
        measure: ({ members }) => measure(lab, members, joins),
        inShort: ({ p50Micros, maxMicros }) => `p50 ${millis(p50Micros)} ms, to all ${millis(maxMicros)} ms`,
      },
    );
    const heading = `${joins} joins, one at a time; from the join to the last of all members on two workers`;
    return compare({ name: "presence", heading, contestants, rounds, columns, load: { joins, contestants } });
  },
};

function contestantsFor({ size, clients }: LoadSettings): Contestant[] {
  const all = size === "quick" ? [10, 100] : [100, 1_000, 10_000];
  const counts = clients === undefined ? all : [clients];
  return counts.map((members) => ({ name: `${grouped(members)} members`, members }));
}

async function measure(lab: Lab, members: number, joins: number): Promise<Sample> {
  const tokens = await Promise.all(Array.from({ length: members }, (_, index) => sign(`member-${index}`)));
  const dialect = { ...fanwireProtocol, path: "/?token={token}", hello: JOIN, greetings: 2 };
  const env = { PUSHER_TOKEN_SECRET: SECRET };
  const workers = [await startPusher(lab, { dialect, env }), await startPusher(lab, { dialect, env })];
  const clients = [await startLoadClient(lab), await startLoadClient(lab)];
  const half = Math.ceil(members / 2);
  const parts = [tokens.slice(0, half), tokens.slice(half)];
  const expectation = { total: joins, recordFrom: 0, recordEvery: 1 };
  try {
    const opened = workers.map(async ({ address }, at) => {
      const own = parts[at] ?? [];
      const plan = { address, dialect: { ...dialect, tokens: own }, connections: own.length, expectation };
      await clients[at]?.call("open", plan);
    });
    await Promise.all(opened);
    await untilKnown(workers, members);
    const stopMeters = workers.map(({ pid }) => startMeter(pid, lab));
    for (let sequence = 0; sequence < joins; sequence++) await joinOnce(workers[sequence % 2], sequence);
    const reports = await Promise.all(clients.map((client) => client.call("settle", { quietMs: QUIET_MS })));
    const metered = stopMeters.map((stop) => stop());
    const latencies = reports.map(({ latency }) => latency);
    const highest = (of: (latency: (typeof latencies)[number]) => number) => Math.max(...latencies.map(of));
    return {
      p50Micros: highest(({ p50Micros }) => p50Micros),
      p99Micros: highest(({ p99Micros }) => p99Micros),
      maxMicros: highest(({ maxMicros }) => maxMicros),
      cpuMicrosPerDelivery: sum(metered.map(({ server }) => totalMicros(server))) / (members * joins),
      serverLoad: Math.max(...metered.map(({ serverLoad }) => serverLoad)),
      foreignLoad: metered[0]?.foreignLoad ?? 0,
      // Announcements from before the measured joins have no content.
      fault: reports.map(({ faults }) => faultText({ ...faults, foreign: 0 })).find((fault) => fault !== undefined),
    };
  } finally {
    await Promise.all(clients.map((client) => client.stop()));
    await Promise.all(workers.map((worker) => worker.stop()));
  }
}

function sign(user: string, info?: string): Promise<string> {
  return new SignJWT({ topics: ["room"], presence: ["room"], info })
    .setProtectedHeader({ alg: "HS256" })
    .setSubject(user)
    .sign(new TextEncoder().encode(SECRET));
}

/** Joins with the current time as `info`, and waits for the reply. The connection stays open until the worker stops. */
async function joinOnce(worker: RunningServer | undefined, sequence: number): Promise<void> {
  if (worker === undefined) return;
  await joined(worker, await sign(`late-${sequence}`, String(encodeContent(sequence, nowMicros()))));
  // Changes of large topics are sent ten times a second. The next join must not wait for this one.
  await delay(200);
}

/** Resolves with the count of the reply. */
async function joined({ address }: RunningServer, token: string): Promise<number> {
  const socket = new WebSocket(`ws://${address.host}:${address.port}/?token=${token}`, "fanwire.v1");
  // Several messages may arrive in one tick.
  const reply = new Promise<number>((resolve) => {
    socket.on("message", (data) => {
      const count = /"type":"reply".*"count":(\d+)/.exec(String(data))?.[1];
      if (count !== undefined) resolve(Number(count));
    });
  });
  await once(socket, "open");
  socket.send(JOIN);
  return reply;
}

/** Waits until both workers know all members. */
async function untilKnown(workers: readonly RunningServer[], members: number): Promise<void> {
  const token = await sign("member-0");
  const deadline = performance.now() + SETTLED_WITHIN_MS;
  for (const worker of workers) {
    while ((await joined(worker, token)) < members) {
      if (performance.now() > deadline) throw new Error(`the ${members} members are not known to all`);
      await delay(100);
    }
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
