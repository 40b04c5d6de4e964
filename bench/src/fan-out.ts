import { type CalledChild, startCalledChild } from "./calls.ts";
import type { ClientCalls, ClientFaults } from "./client/calls.ts";
import type { Latency } from "./client/recorder.ts";
import type { Measured } from "./comparison.ts";
import { totalMicros } from "./cpu.ts";
import type { Lab } from "./lab.ts";
import { residentBytes } from "./memory.ts";
import { startMeter } from "./meter.ts";
import type { PublishPlan } from "./pacer.ts";
import type { RunningServer, Server } from "./servers/server.ts";

/** Load in which every connection receives every publication. */
export type FanOutLoad = {
  clients: number;
  ratePerSecond: PublishPlan["ratePerSecond"];
  /** Number of publications before the measurement, so that code is compiled and buffers have grown. */
  warmUp: number;
  /** Number of measured publications. */
  publications: number;
  /** Interval of publications whose latency is recorded. */
  latencyOfOneIn: number;
};

/** One measurement of one server. Loads are shares of one core. */
export type FanOutSample = Measured & {
  deliveries: number;
  deliveriesPerSecond: number;
  /** CPU time of the server's process tree. */
  cpuMicrosPerDelivery: number;
  userMicrosPerDelivery: number;
  /** Memory of the server's process tree at the end. */
  residentBytes: number;
  latency: Latency;
  serverLoad: number;
  /** Near 1, the client is the bottleneck. */
  clientLoad: number;
  natsServerLoad: number;
  faults: ClientFaults;
};

export type LoadClient = CalledChild<ClientCalls>;

/** Time without an arrival after which a measurement ends. */
export const QUIET_MS = 10_000;

export async function measureFanOut(server: Server, load: FanOutLoad, lab: Lab): Promise<FanOutSample> {
  const [running, client] = await startBoth(server, lab);
  try {
    const { address, dialect } = running;
    await client.call("open", { address, dialect, connections: load.clients });
    if (load.warmUp > 0) await push(running, client, load, 0, load.warmUp);

    const stopMeter = startMeter(running.pid, lab);
    const { startedAt, report } = await push(running, client, load, load.warmUp, load.publications);
    const { tookMicros, server: cpu, serverLoad, natsServerLoad, foreignLoad } = stopMeter();

    const deliveries = load.clients * load.publications;
    return {
      deliveries,
      deliveriesPerSecond: (deliveries / (report.settledAtMicros - startedAt)) * 1_000_000,
      cpuMicrosPerDelivery: totalMicros(cpu) / deliveries,
      userMicrosPerDelivery: cpu.userMicros / deliveries,
      residentBytes: residentBytes(running.pid),
      latency: report.latency,
      serverLoad,
      clientLoad: report.cpuMicros / tookMicros,
      natsServerLoad,
      foreignLoad,
      faults: report.faults,
      fault: faultText(report.faults),
    };
  } finally {
    // The client ends first, because a server that drains would wait for its connections.
    await client.stop();
    await running.stop();
  }
}

/** Starts both at the same time, because starting takes longer than a small measurement. */
async function startBoth(server: Server, lab: Lab): Promise<[RunningServer, LoadClient]> {
  const starting = startLoadClient(lab);
  try {
    return [await server.start(lab), await starting];
  } catch (error) {
    await (await starting).stop();
    throw error;
  }
}

export function startLoadClient(lab: Lab): Promise<LoadClient> {
  return startCalledChild<ClientCalls>(lab.children, "load client", new URL("./client/main.ts", import.meta.url));
}

/** Describes faults. Returns undefined when every delivery arrived once and in order. */
export function faultText({ missing, repeated, late, foreign, ended, firstEnd }: ClientFaults): string | undefined {
  if (missing + repeated + late + foreign + ended === 0) return undefined;
  const reason = firstEnd === undefined ? "" : ` (${firstEnd})`;
  const counts = `${missing} missing, ${repeated} repeated, ${late} out of order, ${foreign} foreign frames`;
  return `${counts}, ${ended} connections ended${reason}`;
}

/** Publishes `count` publications from number `first` on, and waits until the client has received them. */
async function push(running: RunningServer, client: LoadClient, load: FanOutLoad, first: number, count: number) {
  await client.call("expect", { total: first + count, recordFrom: first, recordEvery: load.latencyOfOneIn });
  const startedAt = await running.publish({ first, count, ratePerSecond: load.ratePerSecond });
  return { startedAt, report: await Promise.race([client.call("settle", { quietMs: QUIET_MS }), running.died]) };
}
