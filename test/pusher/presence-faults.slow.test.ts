import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { metric, startPusher, type TestPusher } from "../support/cluster.ts";
import { callApi } from "../support/http-api.ts";
import { connectPresence, type PresenceClient } from "../support/presence-client.ts";
import { SECRET } from "../support/tokens.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

/**
 * Time within which a member without connections disappears after a fault, and one with connections is seen after its
 * end.
 */
const PROMISED_MS = 10_000;
const LEAVE_MS = 2_000;
const env = {
  PUSHER_TOKEN_SECRET: SECRET,
  PUSHER_PRESENCE_LEAVE_SECONDS: String(LEAVE_MS / 1_000),
  PUSHER_WORKERS: "1",
};

const { nats, link, publisher } = useCluster();
let near: TestPusher;
/** Reaches NATS through the link. */
let far: TestPusher;

beforeAll(async () => {
  [near, far] = await Promise.all([startPusher({ nats: nats.url, env }), startPusher({ nats: link.url, env })]);
});
afterEach(() => {
  link.drop = () => false;
});
afterAll(async () => {
  for (const pusher of [near, far]) await pusher[Symbol.asyncDispose]();
});

test("members of a killed worker leave within ten seconds, except those that have reconnected", async () => {
  await using killed = await startPusher({ nats: nats.url, env });
  const topic = "killed";
  const witness = await join(near, "witness", topic);
  const [bob, carl] = [await join(killed, "bob", topic), await join(killed, "carl", topic)];
  await untilSeen(witness, topic, ["bob", "carl", "witness"]);

  killed.process.kill("SIGKILL");
  const killedAt = performance.now();
  await until("the connections are closed", () => [bob, carl].every(({ client }) => client.close));
  await join(far, "carl", topic);
  await untilSeen(witness, topic, ["carl", "witness"]);

  expect(performance.now() - killedAt).toBeLessThan(PROMISED_MS);
  expect(witness.changes(topic)).toEqual(["+bob", "+carl", "-bob"]);
});

test("joins wait for a killed worker for two seconds at most", async () => {
  await using killed = await startPusher({ nats: nats.url, env });
  await join(killed, "bob", "waits");

  killed.process.kill("SIGKILL");
  const startedAt = performance.now();
  const carl = await join(near, "carl", "waits");
  expect(performance.now() - startedAt).toBeLessThan(3_000);
  expect(carl.members("waits")).toEqual(["carl"]);
});

test("a draining pusher hands its members over silently", async () => {
  await using draining = await startPusher({ nats: nats.url, env });
  const topic = "drained";
  const witness = await join(near, "witness", topic);
  const bob = await join(draining, "bob", topic);
  await untilSeen(witness, topic, ["bob", "witness"]);

  const stopped = draining.process.stop();
  await until("the connection is closed", () => bob.client.close?.code === 1012);
  await join(far, "bob", topic);
  expect(await stopped).toBe(0);
  const last = await join(far, "last", topic);
  await until("the last one is seen", () => witness.members(topic).includes("last"));

  expect(witness.changes(topic)).toEqual(["+bob", "+last"]);
  expect(last.members(topic)).toEqual(["bob", "last", "witness"]);
});

test("members of a stopped process leave, and are seen again when it continues", async () => {
  await using stopped = await startPusher({ nats: nats.url, env });
  const topic = "stopped";
  const witness = await join(near, "witness", topic);
  const bob = await join(stopped, "bob", topic);
  await untilSeen(witness, topic, ["bob", "witness"]);

  await until("the publisher knows all workers", async () => (await membersStatus(topic)) === 200);
  stopped.process.kill("SIGSTOP");
  // The stopped worker may have members.
  expect(await membersStatus(topic)).toBe(503);
  await untilSeen(witness, topic, ["witness"], PROMISED_MS);
  const carl = await join(near, "carl", topic);

  stopped.process.kill("SIGCONT");
  for (const each of [witness, carl, bob]) await untilSeen(each, topic, ["bob", "carl", "witness"], PROMISED_MS);
  expect(bob.changes(topic)).toEqual(["+carl"]);
});

test.each(["cut", "stall"] as const)(
  "both sides of a %s link forget each other, and are united when it heals",
  async (mode) => {
    const topic = `link-${mode}`;
    const [one, other] = await joinBoth(topic);

    link.set(mode);
    await untilSeen(one, topic, ["one"], PROMISED_MS);
    await untilSeen(other, topic, ["other"], PROMISED_MS);
    await join(far, "third", topic);
    const fourth = await join(near, "fourth", topic);
    fourth.close();

    link.heal();
    for (const each of [one, other]) await untilSeen(each, topic, ["one", "other", "third"], PROMISED_MS);
    const fifth = await join(near, "fifth", topic);
    expect(fifth.members(topic)).toEqual(["fifth", "one", "other", "third"]);
  },
);

test("a short interruption is silent", async () => {
  const topic = "short";
  const [one, other] = await joinBoth(topic);

  link.cut();
  const third = await connectPresence(far, "third");
  const joining = third.join(topic);
  link.heal();
  expect(await joining).toMatchObject({ ok: true });
  for (const each of [one, other, third]) await untilSeen(each, topic, ["one", "other", "third"], PROMISED_MS);

  expect(one.changes(topic).filter((change) => change.startsWith("-"))).toEqual([]);
  expect(other.changes(topic).filter((change) => change.startsWith("-"))).toEqual([]);
});

test("all see all after NATS was restarted, and members that joined and left meanwhile are not forgotten", async () => {
  const topic = "restart";
  const [one, other] = await joinBoth(topic);
  const leaving = await join(far, "leaving", topic);
  for (const each of [one, other]) await untilSeen(each, topic, ["leaving", "one", "other"]);

  await nats.stop("SIGKILL");
  leaving.close();
  const third = await join(far, "third", topic);
  await nats.restart();

  for (const each of [one, other, third]) await untilSeen(each, topic, ["one", "other", "third"], PROMISED_MS);
  expect(one.changes(topic).filter((change) => change === "-other")).toEqual([]);
});

test("a lost announcement is noticed although no other follows, also if its repetition is lost", async () => {
  const topic = "lost";
  const [, other] = await joinBoth(topic);
  const lost = link.dropped;

  for (const [user, count] of [
    ["third", 1],
    ["fourth", 2],
  ] as const) {
    const before = link.dropped;
    // The announcement alone, or with its first repetition.
    link.drop = (subject) => link.dropped < before + count && subject === "fanwire.presence.topic.lost";
    const client = await join(near, user, topic);
    await until("the messages are lost", () => link.dropped === before + count);
    await untilSeen(other, topic, ["one", "other", user], PROMISED_MS);
    client.close();
    await untilSeen(other, topic, ["one", "other"], PROMISED_MS);
  }
  expect(link.dropped).toBe(lost + 3);
  expect(await metric(far.adminUrl, "fanwire_pusher_presence_gaps_total")).toBeGreaterThan(0);
});

test("announcements that were lost with all repetitions are noticed by the lost beats", async () => {
  const topic = "beats";
  const [, other] = await joinBoth(topic);
  let isLosing = true;
  let lost = 0;
  let counter: string | undefined;
  link.drop = (subject, message) => {
    const isLost = isLosing && subject.startsWith("fanwire.presence.");
    if (!isLost) return false;
    if (message.includes('"third"')) counter = /"counter":\d+,/.exec(message.toString())?.[0];
    // The repetitions have the number of the announcement.
    if (counter !== undefined && message.includes(counter)) lost++;
    return true;
  };

  await join(near, "third", topic);
  await until("the announcement and both repetitions are lost", () => lost === 3);
  isLosing = false;

  await untilSeen(other, topic, ["one", "other", "third"], PROMISED_MS);
});

async function join(pusher: TestPusher, user: string, topic: string): Promise<PresenceClient> {
  const client = await connectPresence(pusher, user);
  expect(await client.join(topic)).toMatchObject({ ok: true });
  return client;
}

/** Joins a member to each of the two pushers. Resolves when they see each other. */
async function joinBoth(topic: string): Promise<[PresenceClient, PresenceClient]> {
  const [one, other] = [await join(near, "one", topic), await join(far, "other", topic)];
  for (const each of [one, other]) await untilSeen(each, topic, ["one", "other"]);
  return [one, other];
}

async function membersStatus(topic: string): Promise<number> {
  return (await callApi(publisher, "GET", `/v1/topics/${topic}/members`)).status;
}

async function untilSeen(
  client: PresenceClient,
  topic: string,
  expected: readonly string[],
  timeoutMs = 20_000,
): Promise<void> {
  await until(
    () => `${client.user} sees ${expected}, not ${client.members(topic)} (${client.changes(topic)})`,
    () => client.members(topic).join() === [...expected].sort().join(),
    timeoutMs,
  );
}
