import { startCalledChild } from "../calls.ts";
import type { PeerCalls, PlainCalls } from "../channel/calls.ts";
import { startChannelServer } from "../channel/channel-server.ts";
import { cpuTimeOf, totalMicros } from "../cpu.ts";
import type { Lab } from "../lab.ts";
import type { PublishPlan } from "../pacer.ts";
import { median } from "../statistics.ts";
import type { LoadSettings, Scenario } from "./scenario.ts";

type Load = { subscribers: number; ratePerSecond: number; warmUp: number; events: number };
type Sample = { microsPerDelivery: number; faults: number };
type Fed = {
  pid: number;
  port: number;
  publisherPort: number | null;
  publish?(plan: PublishPlan): Promise<number>;
  stop(): Promise<void>;
};

const QUIET_MS = 10_000;

/** Everything a channel server does for a delivery, against the write alone. */
export const channelCrowd: Scenario = {
  name: "channel-crowd",
  summary: "1,000 peers of a channel server in one channel × 50 events/s, against the same writes and nothing else",
  connections: (settings) => loadFor(settings).subscribers + 1,
  run: async (lab, settings) => {
    const load = loadFor(settings);
    const samples: { plain: Sample; channel: Sample }[] = [];
    for (let round = 0; round < settings.rounds; round++) {
      const order = round % 2 === 0 ? ["plain", "channel"] : ["channel", "plain"];
      const sample: Record<string, Sample> = {};
      for (const name of order) {
        sample[name] = await measure(lab, load, name === "plain" ? await startPlain(lab) : await startChannel(lab));
        settings.progress(
          `channel-crowd ${round + 1}/${settings.rounds} ${name}: ${sample[name].microsPerDelivery.toFixed(2)} µs/delivery`,
        );
      }
      const { plain, channel } = sample;
      if (plain !== undefined && channel !== undefined) samples.push({ plain, channel });
    }
    const ratios = samples.map(({ plain, channel }) => channel.microsPerDelivery / plain.microsPerDelivery);
    const micros = (name: "plain" | "channel") => median(samples.map((sample) => sample[name].microsPerDelivery));
    return {
      name: "channel-crowd",
      heading: `${load.subscribers.toLocaleString("en")} subscribers, ${load.ratePerSecond} events/s, ${load.events} events of 100 bytes; median of ${samples.length}`,
      table: {
        columns: ["server", "CPU µs/delivery", "× plain"],
        rows: [
          ["plain node:net", micros("plain").toFixed(2), "1.00"],
          [
            "channel",
            micros("channel").toFixed(2),
            `${median(ratios).toFixed(2)} (${Math.min(...ratios).toFixed(2)}–${Math.max(...ratios).toFixed(2)})`,
          ],
        ],
      },
      faults: samples.flatMap((sample, at) =>
        (["plain", "channel"] as const).flatMap((name) =>
          sample[name].faults > 0 ? [`channel-crowd, round ${at + 1}, ${name}: ${sample[name].faults} deliveries`] : [],
        ),
      ),
      data: { load, ratios, samples },
    };
  },
};

function loadFor({ size, clients, seconds }: LoadSettings): Load {
  const isQuick = size === "quick";
  const ratePerSecond = 50;
  return {
    subscribers: clients ?? (isQuick ? 50 : 1_000),
    ratePerSecond,
    warmUp: isQuick ? 10 : 100,
    events: ratePerSecond * (seconds ?? (isQuick ? 1 : 8)),
  };
}

async function startPlain(lab: Lab): Promise<Fed> {
  const child = await startCalledChild<PlainCalls>(
    lab.children,
    "plain",
    new URL("../channel/plain-main.ts", import.meta.url),
  );
  const { port } = await child.call("listen", null);
  return {
    pid: child.pid,
    port,
    publisherPort: null,
    publish: (plan) => child.call("publish", plan),
    stop: child.stop,
  };
}

async function startChannel(lab: Lab): Promise<Fed> {
  const child = await startChannelServer(lab, "channel server");
  return { pid: child.pid, port: child.port, publisherPort: child.port, stop: child.stop };
}

async function measure(lab: Lab, load: Load, server: Fed): Promise<Sample> {
  const peers = await startCalledChild<PeerCalls>(
    lab.children,
    "peers",
    new URL("../channel/peers-main.ts", import.meta.url),
  );
  const publish = server.publish ?? ((plan: PublishPlan) => peers.call("publish", plan));
  const { subscribers, ratePerSecond, warmUp, events } = load;
  try {
    await peers.call("open", { subscriberPort: server.port, publisherPort: server.publisherPort, subscribers });
    await publish({ first: 0, count: warmUp, ratePerSecond });
    await peers.call("settle", { total: warmUp, quietMs: QUIET_MS });
    const before = totalMicros(cpuTimeOf(server.pid));
    await publish({ first: warmUp, count: events, ratePerSecond });
    const { faults } = await peers.call("settle", { total: warmUp + events, quietMs: QUIET_MS });
    return { microsPerDelivery: (totalMicros(cpuTimeOf(server.pid)) - before) / (events * subscribers), faults };
  } finally {
    await peers.stop();
    await server.stop();
  }
}
