import { type CalledChild, startCalledChild } from "./calls.ts";
import type { ClientCalls, ClientFaults } from "./client/calls.ts";
import type { Latency } from "./client/recorder.ts";
import { nowMicros } from "./clock.ts";
import { cpuTimeOf, machineBusyMicros, totalMicros } from "./cpu.ts";
import type { Lab } from "./lab.ts";
import type { PublishPlan } from "./pacer.ts";
import type { RunningServer, Server } from "./servers/server.ts";

/** Every publication goes to every connection. */
export type FanOutLoad = {
  clients: number;
  ratePerSecond: PublishPlan["ratePerSecond"];
  /** Publications sent before anything is measured, so that code is compiled and buffers have grown. */
  warmUp: number;
  /** Publications that are measured. */
  publications: number;
  /** Latency is recorded of one publication in this many. */
  latencyOfOneIn: number;
};

/** One server under one load, once. A load is the share of one core that was used. */
export type FanOutSample = {
  deliveries: number;
  deliveriesPerSecond: number;
  /** Of the server's process tree. */
  cpuMicrosPerDelivery: number;
  userMicrosPerDelivery: number;
  latency: Latency;
  serverLoad: number;
  /** Near 1, it is the client that is measured. */
  clientLoad: number;
  natsServerLoad: number;
  /** Of everybody who is no part of this run, and of the host: well above 0, the machine was not ours. */
  foreignLoad: number;
  faults: ClientFaults;
};

type LoadClient = CalledChild<ClientCalls>;

/** Nothing arriving for so long is the end of what arrives. */
const QUIET_MS = 10_000;

export async function measureFanOut(server: Server, load: FanOutLoad, lab: Lab): Promise<FanOutSample> {
  // When one of them fails the run has failed, and the lab stops the other.
  const [running, client] = await Promise.all([
    server.start(lab),
    startCalledChild<ClientCalls>(lab.children, "load client", new URL("./client/main.ts", import.meta.url)),
  ]);
  try {
    const { address, greetings } = running;
    await client.call("open", { address, greetings, connections: load.clients });
    if (load.warmUp > 0) await push(running, client, load, 0, load.warmUp);

    const before = accounts(running, lab);
    const { startedAt, report } = await push(running, client, load, load.warmUp, load.publications);
    const after = accounts(running, lab);

    const deliveries = load.clients * load.publications;
    const took = after.at - before.at;
    const serverMicros = totalMicros(after.server) - totalMicros(before.server);
    const ownMicros = after.own - before.own;
    return {
      deliveries,
      deliveriesPerSecond: (deliveries / (report.settledAtMicros - startedAt)) * 1_000_000,
      cpuMicrosPerDelivery: serverMicros / deliveries,
      userMicrosPerDelivery: (after.server.userMicros - before.server.userMicros) / deliveries,
      latency: report.latency,
      serverLoad: serverMicros / took,
      clientLoad: report.cpuMicros / took,
      natsServerLoad: (after.nats - before.nats) / took,
      foreignLoad: Math.max(0, after.machine - before.machine - ownMicros) / took,
      faults: report.faults,
    };
  } finally {
    // The client first: a server that drains would wait for its connections.
    await client.stop();
    await running.stop();
  }
}

export function hasFaults({ missing, repeated, late, foreign, ended }: ClientFaults): boolean {
  return missing + repeated + late + foreign + ended > 0;
}

/** Publishes `count` publications from `first` on and waits until the client has them. */
async function push(running: RunningServer, client: LoadClient, load: FanOutLoad, first: number, count: number) {
  await client.call("expect", { total: first + count, recordFrom: first, recordEvery: load.latencyOfOneIn });
  const startedAt = await running.publish({ first, count, ratePerSecond: load.ratePerSecond });
  return { startedAt, report: await Promise.race([client.call("settle", { quietMs: QUIET_MS }), running.died]) };
}

function accounts(running: RunningServer, lab: Lab) {
  return {
    at: nowMicros(),
    server: cpuTimeOf(running.pid),
    nats: totalMicros(cpuTimeOf(lab.nats.pid)),
    own: totalMicros(cpuTimeOf(process.pid)),
    machine: machineBusyMicros(),
  };
}
