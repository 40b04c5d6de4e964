import { beforeAll, expect, test } from "vitest";
import { metric, startPusher } from "../support/cluster.ts";
import { everyone, openPublications, topic } from "../support/durable.ts";
import { connectFanwire } from "../support/fanwire-client.ts";
import { askStream } from "../support/jetstream.ts";
import { startNats } from "../support/nats.ts";
import { connectRawClient } from "../support/raw-client.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const KEPT = 5;

const { link, history, pusher } = useCluster({ history: { maxPerSubject: KEPT }, pusher: { PUSHER_WORKERS: "1" } });

// Remains stored, so that the history begins before all publications of the tests.
beforeAll(() => history.append(topic("first"), "1"));

async function publish(name: string, from: number, count: number): Promise<void> {
  for (let each = from; each < from + count; each++) await history.append(topic(name), String(each));
}

test("a connected client that missed more than the history keeps is closed and not recovered, and other clients miss nothing", async () => {
  const lost = await connectFanwire(pusher.url, { topic: "much" });
  const ofPattern = await connectFanwire(pusher.url, { topic: "much.*" });
  const raw = await connectRawClient(`${pusher.url}?topic=much`);
  await publish("much", 0, 2);
  await until("the publications arrive", () => lost.publications.length === 2 && raw.frames.length === 2);

  link.cut();
  await publish("much", 2, 2 * KEPT);
  await publish("much.less", 0, KEPT - 1);
  link.heal();

  await until("the client is asked to reconnect", () => lost.close);
  expect(lost.close?.code).toBe(4500);
  expect(lost.data()).toEqual(["0", "1"]);
  const back = await connectFanwire(pusher.url, { topic: "much", since: String(lost.publications.at(-1)?.position) });
  expect(back.welcome.recovered).toBe(false);
  await until("the other client has what it missed", () => ofPattern.publications.length === KEPT - 1);
  expect(ofPattern.close).toBeUndefined();
  await publish("much", 100, 1);
  await until("new publications arrive", () => back.data().includes("100") && raw.frames.includes("100"));
  expect(raw.frames).toEqual(["0", "1", "7", "8", "9", "10", "11", "100"]);
  expect(await metric(pusher.adminUrl, "fanwire_pusher_history_missed_total")).toBe(1);
});

test("a client is closed once when the history dropped both a publication and the one before it", async () => {
  await using own = await startNats();
  await using tiny = await openPublications([own.url]);
  const config = {
    name: "FANWIRE_HISTORY",
    subjects: ["fanwire.history.>"],
    republish: { src: "fanwire.history.>", dest: "fanwire.live.>" },
    storage: "memory",
    max_msgs: 1,
  };
  await askStream(tiny.bus, "CREATE.FANWIRE_HISTORY", config);
  await using alone = await startPusher({ nats: own.url, env: { PUSHER_WORKERS: "1" } });
  const client = await connectFanwire(alone.url);
  await tiny.append(everyone, "1");
  await until("the publication arrives", () => client.publications.length === 1);

  await Promise.all([tiny.append(topic("x"), "x"), tiny.append(everyone, "2"), tiny.append(topic("x"), "x")]);
  await until("the client is asked to reconnect", () => client.close?.code === 4500);
  const back = await connectFanwire(alone.url);
  await tiny.append(everyone, "3");
  await until("the client receives new publications", () => back.data().includes("3"));
  expect(back.close).toBeUndefined();
  expect(await metric(alone.adminUrl, "fanwire_pusher_history_missed_total")).toBe(1);
});
