import { setTimeout as delay } from "node:timers/promises";
import { type Column, compare, type Measured } from "../comparison.ts";
import { totalMicros } from "../cpu.ts";
import { faultText, startLoadClient } from "../fan-out.ts";
import { grouped, percent, twoDigits } from "../format.ts";
import type { Lab } from "../lab.ts";
import { startMeter } from "../meter.ts";
import { measureRounds } from "../rounds.ts";
import { withIdleSeconds } from "../servers/pusher.ts";
import type { Server } from "../servers/server.ts";
import { soketi } from "../servers/soketi.ts";
import type { LoadSettings, Scenario } from "./scenario.ts";

type Sample = Measured & { cpuMicrosPerSecond: number; serverLoad: number; clientLoad: number };

/** The least that the pusher allows. By default clients ping after 120 s, a fifteenth as often. */
const IDLE_SECONDS = 8;
/** Pings begin at once, and connections open for a while. */
const SETTLE_MS = 2_000;

const columns: readonly Column<Sample>[] = [
  { title: "CPU ms/s for 1,000 clients", of: ({ cpuMicrosPerSecond }) => cpuMicrosPerSecond / 1_000, show: twoDigits },
  { title: "CPU", of: ({ cpuMicrosPerSecond }) => cpuMicrosPerSecond, show: "ratio" },
  { title: "server load", of: ({ serverLoad }) => serverLoad, show: percent },
  { title: "client load", of: ({ clientLoad }) => clientLoad, show: percent },
  { title: "foreign load", of: ({ foreignLoad }) => foreignLoad, show: percent },
];

export const pusherIdle: Scenario = {
  name: "pusher-idle",
  summary:
    "10,000 idle clients: the cost of the pings that clients of the Pusher protocol send, against those of uWebSockets.js",
  connections: (settings) => loadFor(settings).clients,
  run: async (lab, settings) => {
    const { clients, seconds } = loadFor(settings);
    const { raw, fanwire, pusher } = withIdleSeconds(IDLE_SECONDS);
    const all = [fanwire, raw, soketi, pusher];
    const contestants = all.filter(({ name }) => settings.servers.length === 0 || settings.servers.includes(name));
    const rounds = await measureRounds(
      contestants,
      { label: "pusher-idle", settings },
      {
        measure: (server) => measure(lab, server, clients, seconds),
        inShort: ({ cpuMicrosPerSecond }) => `${(cpuMicrosPerSecond / 1_000).toFixed(2)} ms/s for 1,000 clients`,
      },
    );
    const heading = `${grouped(clients)} clients, PUSHER_IDLE_SECONDS=${IDLE_SECONDS}: a ping of each about every ${IDLE_SECONDS} s`;
    return compare({ name: "pusher-idle", heading, contestants, rounds, columns, load: { clients, seconds } });
  },
};

function loadFor({ size, clients, seconds }: LoadSettings): { clients: number; seconds: number } {
  // Two pings of each client by default.
  return size === "quick"
    ? { clients: clients ?? 50, seconds: seconds ?? 0.5 }
    : { clients: clients ?? 10_000, seconds: seconds ?? 2 * IDLE_SECONDS };
}

async function measure(lab: Lab, server: Server, clients: number, seconds: number): Promise<Sample> {
  const running = await server.start(lab);
  const client = await startLoadClient(lab);
  try {
    const { address, dialect } = running;
    await Promise.race([client.call("open", { address, dialect, connections: clients }), running.died]);
    await delay(SETTLE_MS);
    await client.call("expect", { total: 0, recordFrom: 0, recordEvery: 1 });
    const stopMeter = startMeter(running.pid, lab);
    await Promise.race([delay(seconds * 1_000), running.died]);
    const { tookMicros, server: cpu, serverLoad, foreignLoad } = stopMeter();
    const report = await client.call("settle", { quietMs: 0 });
    return {
      cpuMicrosPerSecond: (totalMicros(cpu) / tookMicros) * 1_000_000 * (1_000 / clients),
      serverLoad,
      clientLoad: report.cpuMicros / tookMicros,
      foreignLoad,
      fault: faultText(report.faults),
    };
  } finally {
    await client.stop();
    await running.stop();
  }
}
