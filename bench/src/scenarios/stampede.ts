import { Subjects } from "@fanwire/protocol";
import { connect } from "@nats-io/transport-node";
import { nowMicros } from "../clock.ts";
import { type Column, compare, type Measured } from "../comparison.ts";
import { encodeContent } from "../content.ts";
import { totalMicros } from "../cpu.ts";
import { faultText, QUIET_MS, startLoadClient } from "../fan-out.ts";
import { grouped, percent, twoDigits } from "../format.ts";
import type { Lab } from "../lab.ts";
import { startMeter } from "../meter.ts";
import { measureRounds } from "../rounds.ts";
import { fanwireProtocol, startPusher } from "../servers/pusher.ts";
import type { LoadSettings, Scenario } from "./scenario.ts";

type Contestant = { name: string; missed: number };
type Sample = Measured & {
  secondsUntilAll: number;
  cpuMicrosPerReader: number;
  historyReads: number;
  serverLoad: number;
};

const subjects = new Subjects();
/** A topic that no earlier step has used. */
let stampedes = 0;

const columns: readonly Column<Sample>[] = [
  { title: "s until all had all", of: (sample) => sample.secondsUntilAll, show: twoDigits },
  { title: "CPU µs/reader", of: (sample) => sample.cpuMicrosPerReader, show: grouped },
  { title: "CPU", of: (sample) => sample.cpuMicrosPerReader, show: "ratio" },
  { title: "requests to the history", of: (sample) => sample.historyReads, show: grouped },
  { title: "server load", of: (sample) => sample.serverLoad, show: percent },
  { title: "foreign load", of: (sample) => sample.foreignLoad, show: percent },
];

const contestants: readonly Contestant[] = [
  { name: "new", missed: 0 },
  { name: "resuming", missed: 100 },
];

export const stampede: Scenario = {
  name: "stampede",
  summary:
    "10,000 clients of fanwire.v1 reconnect at the same time, each has missed the same 100 publications; compared with new ones",
  connections: readersFor,
  run: async (lab, settings) => {
    const readers = readersFor(settings);
    const rounds = await measureRounds(
      contestants,
      { label: "stampede", settings },
      {
        measure: ({ missed }) => measure(lab, readers, missed),
        inShort: ({ secondsUntilAll, historyReads }) =>
          `${secondsUntilAll.toFixed(2)} s, ${historyReads} requests to the history`,
      },
    );
    const heading = `${grouped(readers)} readers, 200 handshakes at the same time`;
    return compare({ name: "stampede", heading, contestants, rounds, columns, load: { readers, contestants } });
  },
};

function readersFor({ size, clients }: LoadSettings): number {
  return clients ?? (size === "quick" ? 100 : 10_000);
}

async function measure(lab: Lab, readers: number, missed: number): Promise<Sample> {
  const topic = `stampede-${++stampedes}`;
  const running = await startPusher(lab, { dialect: fanwireProtocol });
  const client = await startLoadClient(lab);
  const nats = await connect({ servers: lab.natsUrl });
  try {
    const since = await currentPosition(running.address.port);
    const contents = Array.from({ length: missed }, (_, sequence) => encodeContent(sequence, nowMicros()));
    lab.publisher.publish([subjects.history({ kind: "topic", topic })], contents);
    let historyReads = 0;
    nats.subscribe("$JS.API.>", { callback: () => void historyReads++ });
    await nats.flush();

    const path = `/?topic=${topic}${missed > 0 ? `&since=${since}` : ""}`;
    const stopMeter = startMeter(running.pid, lab);
    const startedAt = nowMicros();
    await client.call("open", {
      address: running.address,
      dialect: { ...fanwireProtocol, path },
      connections: readers,
      expectation: { total: missed, recordFrom: 0, recordEvery: 1 },
    });
    const openedAt = nowMicros();
    const report = missed > 0 ? await client.call("settle", { quietMs: QUIET_MS }) : undefined;
    const { server, serverLoad, foreignLoad } = stopMeter();
    return {
      secondsUntilAll: (Math.max(openedAt, report?.settledAtMicros ?? 0) - startedAt) / 1_000_000,
      cpuMicrosPerReader: totalMicros(server) / readers,
      historyReads,
      serverLoad,
      foreignLoad,
      fault: report && faultText(report.faults),
    };
  } finally {
    await nats.close();
    await client.stop();
    await running.stop();
  }
}

/** Returns the position in the first event of the worker. */
async function currentPosition(port: number): Promise<string> {
  const abort = new AbortController();
  const response = await fetch(`http://127.0.0.1:${port}/sse`, { signal: abort.signal });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  // A comment that keeps the stream alive may come before the welcome.
  while (!/^event: fanwire\.welcome\n/m.test(text)) {
    const read = await reader?.read();
    if (read === undefined || read.done) throw new Error("the event stream ended");
    text += read.value;
  }
  abort.abort();
  const position = /^id: (.+)$/m.exec(text)?.[1];
  if (position === undefined) throw new Error(`no position in ${text}`);
  return position;
}
