import { setTimeout as delay } from "node:timers/promises";
import { SignJWT } from "jose";
import { nowMicros } from "../clock.ts";
import { type Column, compare, type Measured } from "../comparison.ts";
import { totalMicros } from "../cpu.ts";
import { type LoadClient, startLoadClient } from "../fan-out.ts";
import { grouped, percent, twoDigits } from "../format.ts";
import type { Lab } from "../lab.ts";
import { residentBytes } from "../memory.ts";
import { startMeter } from "../meter.ts";
import { measureRounds } from "../rounds.ts";
import { peers } from "../servers/all.ts";
import { bare } from "../servers/bare.ts";
import { pusher, pusherFanwire, rawProtocol, startPusher } from "../servers/pusher.ts";
import type { Server } from "../servers/server.ts";
import type { LoadSettings, Scenario } from "./scenario.ts";

type Sample = Measured & {
  connectionsPerSecond: number;
  cpuMicrosPerConnection: number;
  bytesPerConnection: number;
  serverLoad: number;
};

/** Connections before the measured ones, in parts of them: code is compiled then. */
const FIRST_PART = 0.25;
const SECRET = "a secret of the bench, and of nobody else";

const columns: readonly Column<Sample>[] = [
  { title: "connections/s", of: (sample) => sample.connectionsPerSecond, show: grouped },
  { title: "CPU µs/connection", of: (sample) => sample.cpuMicrosPerConnection, show: twoDigits },
  { title: "CPU", of: (sample) => sample.cpuMicrosPerConnection, show: "ratio" },
  { title: "connections/s and core", of: (sample) => 1_000_000 / sample.cpuMicrosPerConnection, show: grouped },
  { title: "RSS bytes/idle connection", of: (sample) => sample.bytesPerConnection, show: grouped },
  { title: "server load", of: (sample) => sample.serverLoad, show: percent },
  { title: "foreign load", of: (sample) => sample.foreignLoad, show: percent },
];

export const opening: Scenario = {
  name: "opening",
  summary: "15,000 connections as fast as they come, then idle: the cost of accepting and of keeping one",
  connections: (settings) => Math.ceil(connectionsFor(settings) * (1 + FIRST_PART)) + 1,
  run: async (lab, settings) => {
    const connections = connectionsFor(settings);
    const restMs = settings.size === "quick" ? 100 : 3_000;
    const all = [
      bare,
      pusher,
      pusherFanwire,
      await withUserAndTopic(opening.connections(settings)),
      ...(settings.peers ? peers : []),
    ];
    const contestants = all.filter(({ name }) => settings.servers.length === 0 || settings.servers.includes(name));
    const rounds = await measureRounds(
      contestants,
      { label: "opening", settings },
      { measure: (server) => measure(lab, server, connections, restMs), inShort },
    );
    const heading = `${grouped(connections)} connections, 200 handshakes at the same time`;
    return compare({ name: "opening", heading, contestants, rounds, columns, load: { connections } });
  },
};

function connectionsFor({ size, clients }: LoadSettings): number {
  return clients ?? (size === "quick" ? 200 : 15_000);
}

/** Each with a user and a topic of its own. */
async function withUserAndTopic(connections: number): Promise<Server> {
  const key = new TextEncoder().encode(SECRET);
  const tokens = await Promise.all(
    Array.from({ length: connections }, (_, index) =>
      new SignJWT({ topics: [">"] }).setProtectedHeader({ alg: "HS256" }).setSubject(`user-${index}`).sign(key),
    ),
  );
  const dialect = { ...rawProtocol, path: "/?topic=topic-{index}&token={token}", tokens };
  return {
    name: "pusher-user-topic",
    summary: "",
    start: (lab) => startPusher(lab, { dialect, env: { PUSHER_TOKEN_SECRET: SECRET } }),
  };
}

/**
 * Opens the measured connections in two halves. Memory is that of the second half: V8's young generation, which has a
 * fixed size, fills for the first time during the first one.
 */
async function measure(lab: Lab, server: Server, connections: number, restMs: number): Promise<Sample> {
  const running = await server.start(lab);
  const clients: LoadClient[] = [];
  let opened = 0;
  const open = async (count: number) => {
    const client = await startLoadClient(lab);
    clients.push(client);
    const stopMeter = startMeter(running.pid, lab);
    const startedAt = nowMicros();
    const { address, dialect } = running;
    await Promise.race([client.call("open", { address, dialect, connections: count, from: opened }), running.died]);
    const tookMicros = nowMicros() - startedAt;
    opened += count;
    const { server: cpu, foreignLoad } = stopMeter();
    await delay(restMs);
    return { tookMicros, cpuMicros: totalMicros(cpu), foreignLoad, residentBytes: residentBytes(running.pid) };
  };
  try {
    const half = Math.ceil(connections / 2);
    await open(Math.ceil(connections * FIRST_PART));
    const parts = [await open(half), await open(half)] as const;
    const sum = (figure: (part: (typeof parts)[number]) => number) => figure(parts[0]) + figure(parts[1]);
    const tookMicros = sum((part) => part.tookMicros);
    const cpuMicros = sum((part) => part.cpuMicros);
    return {
      connectionsPerSecond: ((2 * half) / tookMicros) * 1_000_000,
      cpuMicrosPerConnection: cpuMicros / (2 * half),
      bytesPerConnection: (parts[1].residentBytes - parts[0].residentBytes) / half,
      serverLoad: cpuMicros / tookMicros,
      foreignLoad: sum((part) => part.foreignLoad * part.tookMicros) / tookMicros,
      fault: undefined,
    };
  } finally {
    await Promise.all(clients.map((client) => client.stop()));
    await running.stop();
  }
}

function inShort({ cpuMicrosPerConnection, bytesPerConnection }: Sample): string {
  return `${cpuMicrosPerConnection.toFixed(1)} µs and ${grouped(bytesPerConnection)} bytes/connection`;
}
