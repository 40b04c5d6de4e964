import { nowMicros } from "./clock.ts";
import { type CpuTime, cpuTimeOf, machineBusyMicros, totalMicros } from "./cpu.ts";
import type { Lab } from "./lab.ts";

/** CPU use over a period. Loads are shares of one core. */
export type Metered = {
  tookMicros: number;
  /** CPU use of the server's process tree. */
  server: CpuTime;
  serverLoad: number;
  natsServerLoad: number;
  /** CPU use by processes outside of this run and by the host. Well above 0, the measurement was disturbed. */
  foreignLoad: number;
};

/** Starts to measure the process `pid` and all others. The returned function ends the measurement. */
export function startMeter(pid: number, lab: Lab): () => Metered {
  const before = accounts(pid, lab);
  return () => {
    const after = accounts(pid, lab);
    const tookMicros = after.at - before.at;
    const server = {
      userMicros: after.server.userMicros - before.server.userMicros,
      systemMicros: after.server.systemMicros - before.server.systemMicros,
    };
    return {
      tookMicros,
      server,
      serverLoad: totalMicros(server) / tookMicros,
      natsServerLoad: (after.nats - before.nats) / tookMicros,
      foreignLoad: Math.max(0, after.machine - before.machine - (after.own - before.own)) / tookMicros,
    };
  };
}

function accounts(pid: number, lab: Lab) {
  return {
    at: nowMicros(),
    server: cpuTimeOf(pid),
    nats: totalMicros(cpuTimeOf(lab.nats.pid)),
    own: totalMicros(cpuTimeOf(process.pid)),
    machine: machineBusyMicros(),
  };
}
