import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { epochFrom } from "@fanwire/bus";
import { Subjects } from "@fanwire/protocol";
import { connect as connectNats } from "@nats-io/transport-node";
import { type Column, compare, type Measured } from "../comparison.ts";
import { faultText, type LoadClient, QUIET_MS, startLoadClient } from "../fan-out.ts";
import { grouped, percent, twoDigits } from "../format.ts";
import type { Lab } from "../lab.ts";
import { residentBytes } from "../memory.ts";
import { startMeter } from "../meter.ts";
import { measureRounds } from "../rounds.ts";
import { fanwireProtocol, rawProtocol, startPusher } from "../servers/pusher.ts";
import type { RunningServer } from "../servers/server.ts";
import { longestTickMs, tickMonitor } from "../tick-meter.ts";
import type { LoadSettings, Scenario } from "./scenario.ts";

type Disturbance = "nothing" | "repair" | "stampede" | "slow peer" | "hostile peer";
type Contestant = { readonly name: Disturbance };
type Sample = Measured & {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  /** Longest tick of the worker in milliseconds of processor time. */
  readonly tick: number;
  readonly grownBy: number;
};
type Scale = { readonly seconds: number; readonly megabytes: number; readonly readers: number };
/** The worker's way to NATS, which can be cut. */
type Link = { readonly port: number; cut(): void; heal(): void; untilUsed(): Promise<void>; stop(): void };

const RATE = 50;
const BYSTANDERS = 100;
/** Publications before those that are measured, so that code is compiled. */
const WARM_UP = 50;
const MEBIBYTE = 1_048_576;
const PIECE = 100_000;
/** Below what the history keeps of a subject. */
const PIECES_PER_TOPIC = 500;
const subjects = new Subjects();
/** Only the bystanders subscribe to it: 10,000 more receivers would be a load of their own. */
const TOPIC = "bystanders";
const bystanderProtocol = { ...rawProtocol, path: `/?topic=${TOPIC}` };

const contestants: readonly Contestant[] = [
  { name: "nothing" },
  { name: "repair" },
  { name: "stampede" },
  { name: "slow peer" },
  { name: "hostile peer" },
];

const columns: readonly Column<Sample>[] = [
  { title: "p50 ms", of: ({ p50 }) => p50, show: twoDigits },
  { title: "p99 ms", of: ({ p99 }) => p99, show: twoDigits },
  { title: "max ms", of: ({ max }) => max, show: twoDigits },
  { title: "longest tick of the worker, CPU ms", of: ({ tick }) => tick, show: twoDigits },
  { title: "resident memory + MiB", of: ({ grownBy }) => grownBy / MEBIBYTE, show: grouped },
  { title: "foreign load", of: (sample) => sample.foreignLoad, show: percent },
];

/** Live publications to bystanders while a worker is busy with other clients. */
export const isolation: Scenario = {
  name: "isolation",
  summary: "live publications to bystanders during a repair of 400 MB, a stampede of 10,000, a slow and a hostile peer",
  connections: (settings) => BYSTANDERS + scaleOf(settings).readers,
  run: async (lab, settings) => {
    const scale = scaleOf(settings);
    const rounds = await measureRounds(
      contestants,
      { label: "isolation", settings },
      {
        measure: ({ name }) => measure(lab, name, scale),
        inShort: ({ p99, max, tick }) =>
          `p99 ${p99.toFixed(1)} ms, max ${max.toFixed(1)} ms, longest tick ${tick.toFixed(1)} ms`,
      },
    );
    const heading = `${RATE} live publications/s to ${BYSTANDERS} raw connections for ${scale.seconds} s`;
    return compare({ name: "isolation", heading, contestants, rounds, columns, load: { RATE, BYSTANDERS, scale } });
  },
};

function scaleOf({ size, clients, seconds }: LoadSettings): Scale {
  return size === "quick"
    ? { seconds: seconds ?? 1, megabytes: 4, readers: clients ?? 50 }
    : { seconds: seconds ?? 10, megabytes: 400, readers: clients ?? 10_000 };
}

async function measure(lab: Lab, disturbance: Disturbance, scale: Scale): Promise<Sample> {
  const link = await startLink(lab.nats.port);
  try {
    return await measureBeside(lab, disturbance, scale, link);
  } finally {
    link.stop();
  }
}

async function measureBeside(lab: Lab, disturbance: Disturbance, scale: Scale, link: Link): Promise<Sample> {
  const natsUrl = `nats://127.0.0.1:${link.port}`;
  const env = { FANWIRE_NATS_URL: natsUrl, PUSHER_MAX_UNSENT_BYTES: String(MEBIBYTE), ...tickMonitor };
  const toBystanders = [subjects.live({ kind: "topic", topic: TOPIC })];
  const running = await startPusher(lab, { dialect: bystanderProtocol, subjects: toBystanders, env });
  const [client, others] = await Promise.all([startLoadClient(lab), startLoadClient(lab)]);
  const sockets: Socket[] = [];
  try {
    const { address, dialect } = running;
    await client.call("open", { address, dialect, connections: BYSTANDERS });
    const begin = await prepare(disturbance, { lab, running, others, link, scale, sockets });
    const before = residentBytes(running.pid);
    const stopMeter = startMeter(running.pid, lab);
    const count = RATE * scale.seconds;
    await client.call("expect", { total: WARM_UP + count, recordFrom: WARM_UP, recordEvery: 1 });
    if (disturbance !== "repair") await running.publish({ first: 0, count: WARM_UP, ratePerSecond: RATE });
    await longestTickMs(running.pid);
    const disturbing = begin();
    if (disturbance === "repair") {
      await disturbing;
      await running.publish({ first: 0, count: WARM_UP, ratePerSecond: 10 * RATE });
    }
    await running.publish({ first: WARM_UP, count, ratePerSecond: RATE });
    const peak = residentBytes(running.pid);
    const { latency, faults } = await Promise.race([client.call("settle", { quietMs: QUIET_MS }), running.died]);
    await disturbing;
    const { foreignLoad } = stopMeter();
    const tick = await longestTickMs(running.pid);
    const { p50Micros, p99Micros, maxMicros } = latency;
    const figures = { p50: p50Micros / 1_000, p99: p99Micros / 1_000, max: maxMicros / 1_000 };
    return {
      ...figures,
      tick,
      grownBy: Math.max(peak, residentBytes(running.pid)) - before,
      foreignLoad,
      fault: faultText(faults),
    };
  } finally {
    for (const socket of sockets) socket.destroy();
    await Promise.all([client.stop(), others.stop()]);
    await running.stop();
  }
}

type Scene = {
  readonly lab: Lab;
  readonly running: RunningServer;
  readonly others: LoadClient;
  readonly link: Link;
  readonly scale: Scale;
  /** Closed at the end. */
  readonly sockets: Socket[];
};

/** Gets everything ready; what it gives begins the disturbance. */
async function prepare(disturbance: Disturbance, scene: Scene): Promise<() => Promise<unknown>> {
  switch (disturbance) {
    case "nothing":
      return async () => {};
    case "repair":
      return prepareRepair(scene);
    case "stampede":
      return prepareStampede(scene);
    case "slow peer":
      return prepareSlowPeer(scene);
    case "hostile peer":
      return prepareHostilePeer(scene);
  }
}

/** A worker is cut off from NATS while many publications are stored for one of its readers. */
async function prepareRepair({ lab, running, link, scale, sockets }: Scene) {
  const topic = `isolation.${Date.now()}`;
  sockets.push(await openEvents(running.address.port, `/sse?topic=${topic}.*`, false));
  link.cut();
  await store(lab, topic, Math.ceil((scale.megabytes * MEBIBYTE) / PIECE), PIECE);
  return async () => {
    link.heal();
    // Live publications are lost by design while the worker is not connected.
    await link.untilUsed();
  };
}

/** Thousands of clients resume one topic at the same time. */
async function prepareStampede({ lab, running, others, scale }: Scene) {
  const topic = `isolation.${Date.now()}`;
  const since = await store(lab, topic, 100, 100);
  const dialect = { ...fanwireProtocol, path: `/?topic=${topic}.*&since=${since}` };
  return () => others.call("open", { address: running.address, dialect, connections: scale.readers });
}

/** A client resumes with many missed publications by many patterns, and reads nothing. */
async function prepareSlowPeer({ lab, running, scale, sockets }: Scene) {
  const topic = `isolation.${Date.now()}`;
  const since = await store(lab, topic, Math.ceil((Math.min(20, scale.megabytes) * MEBIBYTE) / PIECE), PIECE);
  const patterns = [`${topic}.*`, `${topic}.>`, `*.*.*`].map((pattern) => `&topic=${pattern}`).join("");
  return async () => {
    sockets.push(await openEvents(running.address.port, `/sse?since=${since}${patterns}`, true));
  };
}

/** Connections send malformed requests as fast as they can, and close. */
async function prepareHostilePeer({ running, scale, sockets }: Scene) {
  return async () => {
    const until = performance.now() + 1_000 * scale.seconds;
    while (performance.now() < until) {
      const socket = connect(running.address.port, "127.0.0.1");
      socket.on("error", () => {});
      sockets.push(socket);
      socket.write(`GET /sse?${"topic=a&".repeat(200)} HTTP/1.1\r\nHost: x\r\n\r\n${"x".repeat(10_000)}`);
      await delay(10);
      socket.destroy();
    }
  };
}

/** Stores `count` publications of `bytes` each to several topics below one. Returns the position before them. */
async function store(lab: Lab, topic: string, count: number, bytes: number): Promise<string> {
  const nats = await connectNats({ servers: lab.natsUrl });
  const info = await nats.request(`$JS.API.STREAM.INFO.${subjects.historyStream}`);
  const { created, state } = info.json<{ created: string; state: { last_seq: number } }>();
  const content = Buffer.alloc(bytes, "x");
  for (let at = 0; at < count; at += 10) {
    const batch = Array.from({ length: Math.min(10, count - at) }, (_, each) => at + each);
    const target = (each: number) =>
      ({ kind: "topic", topic: `${topic}.${Math.floor(each / PIECES_PER_TOPIC)}` }) as const;
    await Promise.all(batch.map((each) => nats.request(subjects.history(target(each)), content, { timeout: 20_000 })));
  }
  await nats.close();
  return `${epochFrom(created)}-${state.last_seq}`;
}

/** An event stream that is read to nowhere, or not at all. */
async function openEvents(port: number, path: string, isPaused: boolean): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
  if (isPaused) socket.pause();
  else {
    await once(socket, "data");
    socket.resume();
  }
  return socket;
}

async function startLink(natsPort: number): Promise<Link> {
  const pairs = new Set<Socket>();
  let isCut = false;
  const server = createServer((worker) => {
    const nats = connect(natsPort, "127.0.0.1");
    for (const [one, other] of [
      [worker, nats],
      [nats, worker],
    ] as const) {
      pairs.add(one);
      one.setNoDelay(true);
      one.on("error", () => {});
      one.on("close", () => {
        pairs.delete(one);
        other.destroy();
      });
    }
    if (isCut) worker.destroy();
    else worker.pipe(nats).pipe(worker);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number }; // it listens on TCP
  const cut = () => {
    isCut = true;
    for (const socket of pairs) socket.destroy();
  };
  return {
    port,
    cut,
    heal: () => {
      isCut = false;
    },
    untilUsed: async () => {
      while (pairs.size === 0) await delay(5);
      // The worker subscribes again, after a handshake with NATS.
      await delay(500);
    },
    stop: () => {
      cut();
      server.close();
    },
  };
}
