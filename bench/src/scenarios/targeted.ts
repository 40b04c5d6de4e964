import { Subjects } from "@fanwire/protocol";
import { connect } from "@nats-io/transport-node";
import type { ClientReport } from "../client/calls.ts";
import { nowMicros } from "../clock.ts";
import { type Column, compare, type Measured } from "../comparison.ts";
import { encodeContent } from "../content.ts";
import { totalMicros } from "../cpu.ts";
import { faultText, QUIET_MS, startLoadClient } from "../fan-out.ts";
import { grouped, percent, twoDigits } from "../format.ts";
import type { Lab } from "../lab.ts";
import { startMeter } from "../meter.ts";
import { measureRounds } from "../rounds.ts";
import { startOverNats } from "../servers/own-process.ts";
import { rawProtocol } from "../servers/pusher.ts";
import type { RunningServer } from "../servers/server.ts";
import { startService } from "../servers/service.ts";
import type { Scenario } from "./scenario.ts";

type Sample = Measured & { pushesPerSecond: number; cpuMicrosPerPush: number; p50Micros: number; serverLoad: number };
type Target = Pick<RunningServer, "pid" | "address" | "dialect" | "stop"> & { workerId: string };

const AT_ONCE = 100;
const CONNECTIONS = 100;
const subjects = new Subjects();

const columns: readonly Column<Sample>[] = [
  { title: "pushes/s", of: (sample) => sample.pushesPerSecond, show: grouped },
  { title: "CPU µs/push", of: (sample) => sample.cpuMicrosPerPush, show: twoDigits },
  { title: "CPU", of: (sample) => sample.cpuMicrosPerPush, show: "ratio" },
  { title: "µs to the answer", of: (sample) => sample.p50Micros, show: grouped },
  { title: "server load", of: (sample) => sample.serverLoad, show: percent },
  { title: "foreign load", of: (sample) => sample.foreignLoad, show: percent },
];

const contestants = [
  { name: "naive", start: startNaive },
  { name: "pusher", start: startPusherForTargets },
];

export const targeted: Scenario = {
  name: "targeted",
  summary: `publications to one connection each, ${AT_ONCE} under way, answered with delivered or buffered`,
  connections: () => CONNECTIONS,
  run: async (lab, settings) => {
    const rounds = settings.size === "quick" ? 20 : 1_000;
    const measured = await measureRounds(
      contestants,
      { label: "targeted", settings },
      {
        measure: async ({ start }) => measure(lab, await start(lab), rounds),
        inShort: ({ cpuMicrosPerPush }) => `${cpuMicrosPerPush.toFixed(2)} µs/push`,
      },
    );
    return compare({
      name: "targeted",
      heading: `${grouped(rounds * CONNECTIONS)} pushes to ${CONNECTIONS} connections in turn, ${AT_ONCE} under way`,
      contestants,
      rounds: measured,
      columns,
      load: { pushes: rounds * CONNECTIONS, atOnce: AT_ONCE },
    });
  },
};

async function startNaive(lab: Lab): Promise<Target> {
  const workerId = "targeted";
  const subject = subjects.liveConnections(workerId).replace(/\.\*$/, "");
  return { ...(await startOverNats(lab, "targeted", undefined, subject)), workerId };
}

async function startPusherForTargets(lab: Lab): Promise<Target> {
  const { pid, port, stop, tail } = await startService(lab, "pusher", {
    PUSHER_WORKERS: "1",
    PUSHER_HANDSHAKES_PER_SECOND: "0",
    PUSHER_DRAIN_SECONDS: "0",
  });
  const workerId = /"workerId":"([^"]+)"/.exec(tail())?.[1];
  if (workerId === undefined) throw new Error("no worker id from the pusher");
  return { pid, stop, address: { host: "127.0.0.1", port }, dialect: rawProtocol, workerId };
}

/** Every connection is sent `rounds` publications; `AT_ONCE` requests are under way at any time. */
async function measure(lab: Lab, target: Target, rounds: number): Promise<Sample> {
  const { address, dialect, workerId } = target;
  const client = await startLoadClient(lab);
  const nats = await connect({ servers: lab.natsUrl });
  const decoder = new TextDecoder();
  const took: number[] = [];
  let refused = 0;
  let next = 0;
  const pushInTurn = async (end: number) => {
    while (next < end) {
      const at = next++;
      const connectionId = (at % CONNECTIONS) + 1;
      const startedAt = nowMicros();
      const content = encodeContent(Math.floor(at / CONNECTIONS), startedAt);
      const answer = await nats.request(
        subjects.live({ kind: "connection", connection: { workerId, connectionId } }),
        content,
      );
      took.push(nowMicros() - startedAt);
      if (!/delivered|buffered/.test(decoder.decode(answer.data))) refused++;
    }
  };
  const push = (end: number) => Promise.all(Array.from({ length: AT_ONCE }, () => pushInTurn(end)));
  try {
    const warmUp = Math.ceil(rounds / 5);
    const total = warmUp + rounds;
    await client.call("open", { address, dialect, connections: CONNECTIONS });
    await client.call("expect", { total, recordFrom: 0, recordEvery: 1 });
    await push(warmUp * CONNECTIONS);
    took.length = 0;
    const startedAt = nowMicros();
    const stopMeter = startMeter(target.pid, lab);
    await push(total * CONNECTIONS);
    const pushesPerSecond = ((rounds * CONNECTIONS) / (nowMicros() - startedAt)) * 1_000_000;
    const { server, serverLoad, foreignLoad } = stopMeter();
    const report: ClientReport = await client.call("settle", { quietMs: QUIET_MS });
    return {
      pushesPerSecond,
      cpuMicrosPerPush: totalMicros(server) / (rounds * CONNECTIONS),
      p50Micros: took.toSorted((a, b) => a - b)[took.length >> 1] ?? Number.NaN,
      serverLoad,
      foreignLoad,
      fault: faultText(report.faults) ?? (refused > 0 ? `${refused} pushes refused` : undefined),
    };
  } finally {
    await nats.close();
    await client.stop();
    await target.stop();
  }
}
