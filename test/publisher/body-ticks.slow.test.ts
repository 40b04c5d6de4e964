import { expect, test } from "vitest";
import { startPublisher } from "../support/cluster.ts";
import { callApi } from "../support/http-api.ts";
import { demoApp, pusherAppsEnv } from "../support/pusher-apps.ts";
import { signedCall } from "../support/pusher-sdk.ts";
import { expectShortTicks, longestTickMs, tickMonitor } from "../support/tick-monitor.ts";
import { useCluster } from "../support/use-cluster.ts";

const KIBIBYTES_8 = 8_192;

const { nats } = useCluster();

/** Returns a batch of 8 MB. */
const largeBatch = (data: unknown) => Array(1_000).fill({ target: { topic: "news" }, data });

const topics = Array.from({ length: 100 }, (_, at) => `news.${at}`);
const batchToTopics = (size: number, fields: object) => Array(size).fill({ target: { topics }, data: "x", ...fields });

test.each<[string, readonly object[]]>([
  ["8 MB of ASCII text", largeBatch("x".repeat(KIBIBYTES_8))],
  ["8 MB of Cyrillic text", largeBatch("ж".repeat(KIBIBYTES_8 / 2))],
  ["8 MB of line ends", largeBatch("\n".repeat(KIBIBYTES_8 / 2))],
  [
    "8 MB of objects",
    largeBatch(Object.fromEntries(Array.from({ length: 100 }, (_, at) => [`${at}`, "x".repeat(70)]))),
  ],
  ["190 publications to 100 topics", batchToTopics(190, {})],
  ["190 publications with an event to 100 topics", batchToTopics(190, { event: "e" })],
  ["100 durable publications to 100 topics", batchToTopics(100, { durable: true })],
  ["one publication of 100 kB to 100 topics", batchToTopics(1, { data: "x".repeat(100_000) })],
])(
  "a batch of %s takes ticks below 50 ms of work",
  async (kind, batch) => {
    await using publisher = await startPublisher({ nats: nats.url, env: tickMonitor });
    // Before its code is compiled, the publisher takes several times as long.
    for (let round = 1; round <= 3; round++) await callApi(publisher, "POST", "/v1/publications", batch);
    await expectShortTicks(kind, async () => {
      await longestTickMs(publisher);
      const { status, body } = await callApi<{ results: unknown[] }>(publisher, "POST", "/v1/publications", batch);
      expect(status).toBe(200);
      expect(body.results).toHaveLength(batch.length);
      return longestTickMs(publisher);
    });
  },
  120_000,
);

test("a signed body with an event of 10 MB takes ticks below 50 ms of work", async () => {
  await using publisher = await startPublisher({ nats: nats.url, env: { ...pusherAppsEnv(), ...tickMonitor } });
  const body = JSON.stringify({ name: "n", channel: "a", data: "ж".repeat(4_900_000) });
  const publish = () => signedCall(publisher, { path: `/apps/${demoApp.id}/events`, body });
  // Before its code is compiled, the publisher takes several times as long.
  for (let round = 1; round <= 3; round++) await publish();
  await expectShortTicks("a signed body", async () => {
    await longestTickMs(publisher);
    expect(await publish()).toMatchObject({ status: 413, body: { error: { code: "event_too_large" } } });
    return longestTickMs(publisher);
  });
}, 120_000);
