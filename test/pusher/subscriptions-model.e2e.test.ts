import fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import { askWorker, describeWorkers, subjects } from "../support/bus.ts";
import { metric } from "../support/cluster.ts";
import { readEvents } from "../support/event-stream.ts";
import { connectFanwire } from "../support/fanwire-client.ts";
import { connectRawClient } from "../support/raw-client.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const CLIENTS = 4;
const TOPICS = ["a.1", "a.2", "b"];
const PATTERNS = [...TOPICS, "a.*"];
const PROTOCOLS = ["raw", "fanwire.v1", "sse"] as const;
type ProtocolName = (typeof PROTOCOLS)[number];

const { bus, pusher } = useCluster({ pusher: { PUSHER_WORKERS: "1" } });
let workerId: string;

beforeAll(async () => {
  workerId = (await describeWorkers(bus))[0]?.id ?? "";
});

/** A connection of any protocol, with what it must have received so far. */
type Reader = {
  readonly protocol: ProtocolName;
  readonly connectionId: number;
  readonly patterns: Set<string>;
  readonly expected: string[];
  received(): unknown[];
  close(): void;
};

async function open(protocol: ProtocolName): Promise<Reader> {
  const readerOf = (address: string, received: Reader["received"], close: Reader["close"]): Reader => {
    const connectionId = Number(address.split(".")[1]);
    return { protocol, connectionId, patterns: new Set(), expected: [], received, close };
  };
  if (protocol === "raw") {
    const { address, frames, socket } = await connectRawClient(pusher.url);
    return readerOf(
      address,
      () => frames,
      () => socket.close(),
    );
  }
  if (protocol === "fanwire.v1") {
    const { welcome, data, socket } = await connectFanwire(pusher.url);
    return readerOf(welcome.connection, data, () => socket.close());
  }
  const stream = await readEvents(pusher.sseUrl);
  return readerOf(stream.address(), stream.data, stream.close);
}

const client = fc.nat(CLIENTS - 1);
const pattern = fc.constantFrom(...PATTERNS);
const protocol = fc.constantFrom(...PROTOCOLS);
const topics = fc.array(fc.constantFrom(...TOPICS, undefined), { minLength: 1, maxLength: 100 });
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ does: fc.constant("subscribe" as const), client, pattern }) },
  { weight: 3, arbitrary: fc.record({ does: fc.constant("unsubscribe" as const), client, pattern }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant("reopen" as const), client, protocol }) },
  { weight: 5, arbitrary: fc.record({ does: fc.constant("publish" as const), topics }) },
);

function matches(subscribed: string, topic: string): boolean {
  return subscribed === topic || (subscribed === "a.*" && topic.startsWith("a."));
}

async function publish(topics: readonly (string | undefined)[], number: number, readers: readonly Reader[]) {
  const publications = topics.map((topic, at) => ({
    subject: subjects.live(topic === undefined ? { kind: "everyone" } : { kind: "topic", topic }),
    content: Buffer.from(String(number + at)),
  }));
  for (const [at, topic] of topics.entries()) {
    for (const { patterns, expected } of readers) {
      const times = topic === undefined ? 1 : [...patterns].filter((subscribed) => matches(subscribed, topic)).length;
      for (let count = 0; count < times; count++) expected.push(String(number + at));
    }
  }
  for (const outcome of await bus.publishAll(publications)) expect(outcome.ok).toBe(true);
}

const request = (command: "subscribe" | "unsubscribe", { connectionId }: Reader, topic: string) =>
  askWorker(bus, workerId, { command, connectionId, topic });

test("connections of any protocol receive each matching publication in order, once for each subscription, while others subscribe, unsubscribe and close", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 80, maxLength: 80 }), async (steps) => {
      const readers = await Promise.all([open("raw"), open("fanwire.v1"), open("sse"), open("raw")]);
      const settled = () => readers.every(({ received, expected }) => received().length >= expected.length);
      let number = 0;
      for (const each of steps) {
        if (each.does === "publish") {
          await publish(each.topics, number, readers);
          number += each.topics.length;
          continue;
        }
        const reader = readers[each.client] as Reader;
        // A subscription must not change before earlier publications arrive, because they might then be received or
        // not.
        await until("all publications arrive", settled);
        if (each.does === "subscribe") {
          await request("subscribe", reader, each.pattern);
          reader.patterns.add(each.pattern);
        } else if (each.does === "unsubscribe") {
          await request("unsubscribe", reader, each.pattern);
          const isInformed = reader.patterns.delete(each.pattern) && reader.protocol === "sse";
          if (isInformed) reader.expected.push(JSON.stringify({ topic: each.pattern }));
        } else {
          expect(reader.received()).toEqual(reader.expected);
          reader.close();
          await until(
            "the connection is closed",
            async () => (await metric(pusher.adminUrl, "fanwire_pusher_connections")) < CLIENTS,
          );
          readers[each.client] = await open(each.protocol);
        }
      }
      await until("all publications arrive", settled);
      for (const { received, expected } of readers) expect(received()).toEqual(expected);
      for (const reader of readers) reader.close();
      await until(
        "all connections are closed",
        async () => (await metric(pusher.adminUrl, "fanwire_pusher_connections")) === 0,
      );
      expect(await metric(pusher.adminUrl, "fanwire_pusher_subscriptions")).toBe(1);
    }),
    { numRuns: 5, endOnFailure: true },
  );
});
