import { startCalledChild } from "../calls.ts";
import type { PeerCalls } from "../channel/calls.ts";
import { startChannelServer } from "../channel/channel-server.ts";
import { cpuTimeOf, totalMicros } from "../cpu.ts";
import type { Lab } from "../lab.ts";
import { median } from "../statistics.ts";
import type { Scenario } from "./scenario.ts";

type Sample = { eventsPerSecond: number; microsPerEvent: Record<string, number>; faults: number };

const QUIET_MS = 10_000;

/** From one peer over two channel servers to another: what one server takes in, and the other one hands out. */
export const channelRoute: Scenario = {
  name: "channel-route",
  summary: "events of 100 bytes from a peer of one channel server to a peer of another, flat out",
  connections: () => 2,
  run: async (lab, { size, rounds, progress }) => {
    const events = size === "quick" ? 5_000 : 1_000_000;
    const samples: Sample[] = [];
    for (let round = 0; round < rounds; round++) {
      const sample = await measure(lab, events);
      progress(
        `channel-route ${round + 1}/${rounds}: ${Math.round(sample.eventsPerSecond).toLocaleString("en")} events/s`,
      );
      samples.push(sample);
    }
    const processes = Object.keys(samples[0]?.microsPerEvent ?? {});
    const micros = (name: string) => median(samples.map(({ microsPerEvent }) => microsPerEvent[name] ?? Number.NaN));
    return {
      name: "channel-route",
      heading: `${events.toLocaleString("en")} events of 100 bytes, flat out; median of ${rounds}`,
      table: {
        columns: ["", "events/s", ...processes.map((name) => `${name}, CPU µs/event`)],
        rows: [
          [
            "channel-route",
            Math.round(median(samples.map(({ eventsPerSecond }) => eventsPerSecond))).toLocaleString("en"),
            ...processes.map((name) => micros(name).toFixed(2)),
          ],
        ],
      },
      faults: samples.flatMap(({ faults }, at) =>
        faults > 0 ? [`channel-route, round ${at + 1}: ${faults} events`] : [],
      ),
      data: { events, samples },
    };
  },
};

async function measure(lab: Lab, events: number): Promise<Sample> {
  const [sender, receiver, peers] = await Promise.all([
    startChannelServer(lab, "channel server, publisher's"),
    startChannelServer(lab, "channel server, subscriber's"),
    startCalledChild<PeerCalls>(lab.children, "peers", new URL("../channel/peers-main.ts", import.meta.url)),
  ]);
  const pids = {
    "publisher's server": sender.pid,
    "subscriber's server": receiver.pid,
    NATS: lab.nats.pid,
    peers: peers.pid,
  };
  const cpu = () => Object.entries(pids).map(([name, pid]) => [name, totalMicros(cpuTimeOf(pid))] as const);
  try {
    await peers.call("open", { subscriberPort: receiver.port, publisherPort: sender.port, subscribers: 1 });
    const warmUp = Math.ceil(events / 5);
    await peers.call("publishFlatOut", { first: 0, count: warmUp });
    await peers.call("settle", { total: warmUp, quietMs: QUIET_MS });
    const before = new Map(cpu());
    const startedAt = await peers.call("publishFlatOut", { first: warmUp, count: events });
    const { settledAtMicros, faults } = await peers.call("settle", { total: warmUp + events, quietMs: QUIET_MS });
    return {
      eventsPerSecond: (events / (settledAtMicros - startedAt)) * 1_000_000,
      microsPerEvent: Object.fromEntries(
        cpu().map(([name, micros]) => [name, (micros - (before.get(name) ?? 0)) / events]),
      ),
      faults,
    };
  } finally {
    await peers.stop();
    await Promise.all([sender.stop(), receiver.stop()]);
  }
}
