import { nowMicros } from "./clock.ts";
import { type CpuTime, cpuTimeOf, machineBusyMicros, totalMicros } from "./cpu.ts";
import type { Lab } from "./lab.ts";

/** What a stretch of time cost. A load is the share of one core that was used. */
export type Metered = {
  tookMicros: number;
  /** Of the server's process tree. */
  server: CpuTime;
  serverLoad: number;
  natsServerLoad: number;
  /** Of everybody who is no part of this run, and of the host: well above 0, the machine was not ours. */
  foreignLoad: number;
};

/** Begins to count what the process `pid` and everybody else pay; the answer ends it. */
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
