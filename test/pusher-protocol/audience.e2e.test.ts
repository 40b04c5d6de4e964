import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { subjects } from "../support/bus.ts";
import { startPusher } from "../support/cluster.ts";
import { demoApp, pusherAppsEnv } from "../support/pusher-apps.ts";
import { connectPusher, connectPusherJs, type PusherClient, signer, subscribeJs } from "../support/pusher-client.ts";
import { connectRawClient } from "../support/raw-client.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const HOLD_BACK_MS = 2_000;
const env = {
  ...pusherAppsEnv({ ...demoApp, watchlist: true, subscriptionCount: true }),
  PUSHER_PRESENCE_LEAVE_SECONDS: String(HOLD_BACK_MS / 1_000),
};
const {
  nats,
  bus,
  pushers: [one, two],
} = useCluster({ pusher: env });

/** Returns the counts of a channel that a client received, in order. */
function counts(client: PusherClient, channel: string): number[] {
  return client.frames
    .filter((frame) => frame.event === "pusher_internal:subscription_count" && frame.channel === channel)
    .map(({ data }) => JSON.parse(String(data)).subscription_count);
}

const lastCount = (client: PusherClient, channel: string) => counts(client, channel).at(-1);

/** Returns what a client knows of its watchlist. */
function watched(client: PusherClient): Record<string, string> {
  const states: Record<string, string> = {};
  for (const frame of client.frames) {
    if (frame.event !== "pusher_internal:watchlist_events") continue;
    expect(frame).not.toHaveProperty("channel");
    for (const { name, user_ids } of JSON.parse(String(frame.data)).events) {
      for (const id of user_ids) states[id] = name;
    }
  }
  return states;
}

async function signIn(client: PusherClient, id: string, watchlist: string[] = []): Promise<void> {
  client.send({ event: "pusher:signin", data: signer().authenticateUser(client.socketId, { id, watchlist }) });
  await client.next("pusher:signin_success");
}

test("subscribers are counted in the whole cluster, over all protocols", async () => {
  const first = await connectPusher(one.url);
  const second = await connectPusher(two.url);
  await first.subscribe("counted");
  await until("one", () => lastCount(first, "counted") === 1);
  await second.subscribe("counted");

  await until("two", () => [first, second].every((client) => lastCount(client, "counted") === 2));
  // A worker that takes long to answer is counted later.
  expect([[2], [1, 2]]).toContainEqual(counts(second, "counted"));
  const raw = await connectRawClient(`${two.url}?topic=counted`);
  await until("three", () => [first, second].every((client) => lastCount(client, "counted") === 3));
  second.send({ event: "pusher:unsubscribe", data: { channel: "counted" } });
  raw.socket.close();
  await until("one again", () => lastCount(first, "counted") === 1);
});

test("pusher-js shows the count, and members of presence channels are not counted", async () => {
  using pusher = await connectPusherJs(one.url, { member: { user_id: "ann" } });
  const presence = await subscribeJs(pusher, "presence-shown");
  const { channel, events } = await subscribeJs(pusher, "shown");

  await until("the count", () => events.some(({ event }) => event === "pusher:subscription_count"));

  expect(presence.events.map(({ event }) => event)).toEqual(["pusher:subscription_succeeded"]);
  expect((channel as unknown as { subscriptionCount: number }).subscriptionCount).toBe(1);
});

test("throttling: above a hundred subscribers the count is sent at most once in five seconds", async () => {
  const clients = await Promise.all(Array.from({ length: 105 }, () => connectPusher(one.url)));
  await Promise.all(clients.map((client) => client.subscribe("busy")));
  const [witness] = clients;
  if (witness === undefined) throw new Error("there are clients");
  await until("all", () => lastCount(witness, "busy") === 105);
  const sent = () => witness.frames.filter(({ event }) => event.endsWith("subscription_count")).length;
  const before = sent();
  const startedAt = performance.now();

  for (let n = 0; n < 3; n++) {
    clients.at(-1 - n)?.socket.close();
    await witness.settle();
  }

  await until("the new count", () => lastCount(witness, "busy") === 102);
  expect(sent() - before).toBe(1);
  expect(performance.now() - startedAt).toBeGreaterThan(1_000);
});

test("a watchlist shows who is signed in anywhere in the cluster", async () => {
  const ann = await connectPusher(one.url);
  const bob = await connectPusher(two.url);
  const bobAgain = await connectPusher(one.url);
  await signIn(bob, "bob");

  await signIn(ann, "ann", ["bob", "carl", "bob", "ann"]);

  await until("the list", () => Object.keys(watched(ann)).length === 3);
  expect(watched(ann)).toEqual({ bob: "online", carl: "offline", ann: "online" });
  expect(ann.frames.filter(({ event }) => event.endsWith("watchlist_events"))).toHaveLength(1);
  const carl = await connectPusher(two.url);
  await signIn(carl, "carl");
  await until("carl is online", () => watched(ann).carl === "online");
  await signIn(bobAgain, "bob");
  bob.socket.close();
  carl.socket.close();
  await until("carl is offline", () => watched(ann).carl === "offline");
  expect(watched(ann).bob).toBe("online");
  bobAgain.socket.close();
  await until("bob is offline", () => watched(ann).bob === "offline");
});

test("a reload and a move to the other pusher show nobody as offline", async () => {
  const ann = await connectPusher(one.url);
  let page = await connectPusher(one.url);
  await signIn(page, "ida");
  await signIn(ann, "ann", ["ida", "jon"]);
  await until("ida is online", () => watched(ann).ida === "online");

  let longestAwayMs = 0;
  for (const { url } of [one, two, one]) {
    const next = await connectPusher(url);
    const leftAt = performance.now();
    // The other workers report their counts in this time, so that all know that nobody is signed in.
    page.socket.close();
    await until("the page is closed", () => page.close);
    // The time without a connection is what this test is about: above the interval of reports, below the hold-back.
    await delay(300);
    await signIn(next, "ida");
    longestAwayMs = Math.max(longestAwayMs, performance.now() - leftAt);
    page = next;
  }
  const jon = await connectPusher(two.url);
  await signIn(jon, "jon");
  await until("jon is online", () => watched(ann).jon === "online");

  const told = ann.frames.filter(({ event }) => event.endsWith("watchlist_events")).map(({ data }) => String(data));
  // A busy machine may keep the page away for longer than the hold-back, or delay the reports of it.
  if (longestAwayMs < HOLD_BACK_MS / 2) expect(told.filter((data) => data.includes("ida"))).toHaveLength(1);
  page.socket.close();
  await until("ida is offline", () => watched(ann).ida === "offline");
});

test("pusher-js passes watchlist events to the application", async () => {
  using pusher = await connectPusherJs(one.url, { user: { id: "dan", watchlist: ["emma"] } as { id: string } });
  const seen: unknown[] = [];
  pusher.user.watchlist.bind("online", ({ user_ids }: { user_ids: string[] }) => seen.push(["online", ...user_ids]));
  pusher.user.watchlist.bind("offline", ({ user_ids }: { user_ids: string[] }) => seen.push(["offline", ...user_ids]));

  pusher.signin();
  await until("the first event", () => seen.length === 1);
  await signIn(await connectPusher(two.url), "emma");

  await until("the second event", () => seen.length === 2);
  expect(seen).toEqual([
    ["offline", "emma"],
    ["online", "emma"],
  ]);
});

test("of a long watchlist the first hundred users are watched", async () => {
  const client = await connectPusher(one.url);
  const all = Array.from({ length: 101 }, (_, n) => `user-${n}`);

  await signIn(client, "fred", all);

  expect((await client.next("pusher:error")).data).toMatchObject({ code: 4302 });
  await until("the list", () => Object.keys(watched(client)).length === 100);
  expect(Object.keys(watched(client))).toEqual(all.slice(0, 100));
});

test("a new subscriber learns the number, also when another one leaves at that moment", async () => {
  const stays = await connectPusher(one.url);
  const leaves = await connectPusher(one.url);
  const comes = await connectPusher(one.url);
  await stays.subscribe("steady");
  await leaves.subscribe("steady");
  await until("two", () => lastCount(stays, "steady") === 2);

  leaves.send({ event: "pusher:unsubscribe", data: { channel: "steady" } });
  await comes.subscribe("steady");

  await until("the number", () => lastCount(comes, "steady") === 2);
});

test("the subscribers of a worker that was silent for a while are counted again", async () => {
  const client = await connectPusher(one.url);
  const asked: string[] = [];
  const worker = "silent01";
  const report = (counts: [string, number][]) =>
    bus.send(subjects.pusherCounts, Buffer.from(JSON.stringify({ worker, counts, asks: [], isLast: false })));
  bus.subscribe(subjects.pusherCounts, ({ data }) => asked.push(...JSON.parse(Buffer.from(data).toString()).asks));
  await client.subscribe("silence");
  await until("one", () => lastCount(client, "silence") === 1);
  report([["topic:silence", 5]]);
  await until("six", () => lastCount(client, "silence") === 6);
  await until("one again", () => lastCount(client, "silence") === 1);
  asked.length = 0;

  report([]);
  await until("the question", () => asked.includes("topic:silence"));
  report([["topic:silence", 5]]);

  await until("six again", () => lastCount(client, "silence") === 6);
});

test("users and subscribers of a stopped pusher leave the counts; it counts again afterwards, and never sends too low a number", async () => {
  await using third = await startPusher({ nats: nats.url, env: { ...env, PUSHER_WORKERS: "1" } });
  const other = await connectPusher(one.url);
  const stopped = await connectPusher(third.url);
  await other.subscribe("stopped");
  await stopped.subscribe("stopped");
  await signIn(stopped, "gina");
  await signIn(other, "hans", ["gina"]);
  await until("both know", () => [other, stopped].every((client) => lastCount(client, "stopped") === 2));
  await until("gina is online", () => watched(other).gina === "online");

  third.process.kill("SIGSTOP");
  await until(
    "the other pusher gives it up",
    () => lastCount(other, "stopped") === 1 && watched(other).gina === "offline",
    40_000,
  );
  third.process.kill("SIGCONT");

  await until("it is counted again", () => lastCount(other, "stopped") === 2 && watched(other).gina === "online");
  await stopped.settle();
  const later = await connectPusher(two.url);
  await later.subscribe("stopped");
  await until("all know", () => [other, stopped, later].every((client) => lastCount(client, "stopped") === 3));
  const received = counts(stopped, "stopped");
  expect(received.slice(received.indexOf(2))).toEqual([2, 3]);
}, 120_000);
