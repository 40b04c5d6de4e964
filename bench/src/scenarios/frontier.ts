import { setTimeout as delay } from "node:timers/promises";
import { Subjects } from "@fanwire/protocol";
import { type Column, compare, type Measured } from "../comparison.ts";
import { totalMicros } from "../cpu.ts";
import { grouped, percent, twoDigits } from "../format.ts";
import type { Lab } from "../lab.ts";
import { startMeter } from "../meter.ts";
import { measureRounds } from "../rounds.ts";
import { rawProtocol, startPusher } from "../servers/pusher.ts";
import type { Scenario } from "./scenario.ts";

type Contestant = {
  readonly name: string;
  readonly way: "history" | "live" | "nothing";
  readonly isSubscribed: boolean;
};
type Sample = Measured & { readonly load: number; readonly microsPerPublication: number };

const RATE = 5_000;
const STEP_MS = 5;
const TOPICS = 1_000;
const subjects = new Subjects();

const contestants: readonly Contestant[] = [
  { name: "idle", way: "nothing", isSubscribed: false },
  { name: "durable, nobody subscribed", way: "history", isSubscribed: false },
  { name: "live, subscribed", way: "live", isSubscribed: true },
  { name: "durable, subscribed", way: "history", isSubscribed: true },
];

const columns: readonly Column<Sample>[] = [
  { title: "worker, of a core", of: (sample) => sample.load, show: (value) => `${(100 * value).toFixed(1)} %` },
  { title: "CPU µs/publication", of: (sample) => sample.microsPerPublication, show: twoDigits },
  { title: "foreign load", of: (sample) => sample.foreignLoad, show: percent },
];

/** Cost of reading the whole history for a worker, in addition to receiving the same publications live. */
export const frontier: Scenario = {
  name: "frontier",
  summary: `${grouped(RATE)} durable publications/s to ${grouped(TOPICS)} topics: a worker with a subscriber, and one without`,
  connections: () => 1,
  run: async (lab, settings) => {
    const seconds = settings.seconds ?? (settings.size === "quick" ? 0.5 : 8);
    const rounds = await measureRounds(
      contestants,
      { label: "frontier", settings },
      {
        measure: (contestant) => measure(lab, contestant, seconds),
        inShort: ({ load }) => `${(100 * load).toFixed(1)} % of a core`,
      },
    );
    const heading = `${grouped(RATE)} publications of 100 bytes a second to ${grouped(TOPICS)} topics, in steps of ${STEP_MS} ms`;
    return compare({ name: "frontier", heading, contestants, rounds, columns, load: { RATE, TOPICS, seconds } });
  },
};

async function measure(lab: Lab, contestant: Contestant, seconds: number): Promise<Sample> {
  const running = await startPusher(lab, { dialect: rawProtocol });
  const abort = new AbortController();
  try {
    let received = 0;
    if (contestant.isSubscribed) void readEvents(running.address.port, abort.signal, (bytes) => (received += bytes));
    // Until the worker has settled into what it then does.
    await publish(lab, contestant, Math.min(2, seconds));
    const stopMeter = startMeter(running.pid, lab);
    const published = await publish(lab, contestant, seconds);
    const { server, serverLoad, foreignLoad } = stopMeter();
    const fault = contestant.isSubscribed && received === 0 ? "nothing was received" : undefined;
    return { load: serverLoad, microsPerPublication: totalMicros(server) / Math.max(1, published), foreignLoad, fault };
  } finally {
    abort.abort();
    await running.stop();
  }
}

/** Paced by the clock, whatever a step takes. How many were published. */
async function publish(lab: Lab, { way }: Contestant, seconds: number): Promise<number> {
  if (way === "nothing") return delay(1_000 * seconds, 0);
  const content = Buffer.alloc(100, "x");
  const startedAt = performance.now();
  let published = 0;
  for (;;) {
    const elapsed = performance.now() - startedAt;
    const due = Math.floor((Math.min(elapsed, 1_000 * seconds) * RATE) / 1_000);
    for (; published < due; published++) {
      const target = { kind: "topic", topic: `frontier.${published % TOPICS}` } as const;
      lab.publisher.publish([way === "live" ? subjects.live(target) : subjects.history(target)], [content]);
    }
    if (elapsed >= 1_000 * seconds) return published;
    await delay(STEP_MS);
  }
}

async function readEvents(port: number, signal: AbortSignal, onBytes: (count: number) => void): Promise<void> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/sse?topic=frontier.*`, { signal });
    for await (const chunk of response.body ?? []) onBytes(chunk.length);
  } catch {
    // Aborted at the end.
  }
}
