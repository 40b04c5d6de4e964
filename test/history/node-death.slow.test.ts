import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { startPusher } from "../support/cluster.ts";
import { openPublications, topic } from "../support/durable.ts";
import { connectFanwire, type FanwireClient } from "../support/fanwire-client.ts";
import { isHistoryOn, killHistoryLeader } from "../support/history.ts";
import { startNatsCluster } from "../support/nats-cluster.ts";
import type { TestProcess } from "../support/process.ts";
import { until } from "../support/wait.ts";

const sequenceOf = (position: unknown) => Number(String(position).split("-")[1]);

/** Returns the port of NATS in the last log line about it. */
function natsPortOf(service: TestProcess): string {
  const lines = service.logLines().filter(({ msg }) => msg === "connected to NATS" || msg === "reconnected to NATS");
  return String(lines.at(-1)?.server).split(":").at(-1) ?? "";
}

test("clients receive 500 durable publications a second once and in order, although the worker's NATS node and the leader of the history are killed", async () => {
  await using cluster = await startNatsCluster();
  const history = await openPublications(cluster.urls, { replicas: 3, maxPerSubject: 100_000 });
  await history.append(topic("first"), "creates the history");
  const env = { PUSHER_WORKERS: "1", FANWIRE_HISTORY_REPLICAS: "3" };
  const nats = cluster.urls.join(",");
  await using one = await startPusher({ nats, env });
  await using other = await startPusher({ nats, env });
  const clients = await Promise.all(
    [one, other].flatMap(({ url }) => [
      connectFanwire(url, { topic: "load.*" }),
      connectFanwire(url, { topic: "load.3" }),
    ]),
  );

  const acknowledged: { readonly sequence: number; readonly data: string; readonly name: string }[] = [];
  let isLoading = true;
  let published = 0;
  const pending = new Set<Promise<void>>();
  const load = (async () => {
    // Ten every 20 ms, whenever they are acknowledged.
    for (; isLoading; await delay(20)) {
      for (let each = 0; each < 10; each++) {
        const name = `load.${published % 5}`;
        const data = String(published++);
        const append = history.append(topic(name), data).then(
          (position) => void acknowledged.push({ sequence: sequenceOf(position), data, name }),
          () => {}, // a refused or unconfirmed publication need not arrive
        );
        pending.add(append);
        void append.finally(() => pending.delete(append));
      }
    }
  })();
  const arrived = (count: number) =>
    until("publications arrive", () => clients.every(({ publications }) => publications.length > count));

  await arrived(100);
  const workersNode = cluster.nodes.find(({ url }) => url.endsWith(`:${natsPortOf(one.process)}`));
  await workersNode?.stop("SIGKILL");
  await until("the worker is on another node", () => natsPortOf(one.process) !== workersNode?.url.split(":").at(-1));
  await workersNode?.restart();
  await until("all nodes have the history", () => isHistoryOn(history.bus, cluster.nodes.length), 60_000);
  await killHistoryLeader(cluster, history.bus);
  const before = acknowledged.length;
  await until("appends continue", () => acknowledged.length > before + 500);
  isLoading = false;
  await load;
  await Promise.all(pending);

  acknowledged.sort((a, b) => a.sequence - b.sequence);
  const ofOne = acknowledged.filter(({ name }) => name === "load.3");
  // A lost last publication is found by comparing with the history.
  const last = [acknowledged, ofOne].map((own) => own.at(-1)?.sequence ?? 0);
  await until(
    "each client has the last publication of its subscription",
    () =>
      clients.every(({ publications }, at) =>
        publications.some(({ position }) => sequenceOf(position) >= (last[at % 2] ?? 0)),
      ),
    30_000,
  );
  for (const client of clients) expectLedger(client, acknowledged);
  expect(acknowledged.length).toBeGreaterThan(1_000);
}, 180_000);

function expectLedger(
  client: FanwireClient,
  acknowledged: readonly { sequence: number; data: string; name: string }[],
): void {
  expect(client.close).toBeUndefined();
  const sequences = client.publications.map(({ position }) => sequenceOf(position));
  expect(new Set(sequences).size).toBe(sequences.length);
  for (const name of ["load.0", "load.1", "load.2", "load.3", "load.4"]) {
    const own = client.publications.filter((each) => each.topic === name);
    const order = own.map(({ position }) => sequenceOf(position));
    expect(order).toEqual([...order].sort((a, b) => a - b));
    if (own.length === 0) continue;
    const from = order[0] ?? 0;
    const promised = acknowledged.filter((each) => each.name === name && each.sequence >= from);
    const got = new Map(own.map(({ position, data }) => [sequenceOf(position), data]));
    expect(promised.filter(({ sequence, data }) => got.get(sequence) !== data)).toEqual([]);
  }
}
