import { channelSignature, parseSocketId } from "@fanwire/pusher-protocol";
import type { Members, PresenceChannel } from "pusher-js";
import { expect, test } from "vitest";
import { askWorker, subjects } from "../support/bus.ts";
import { metric, startPusher } from "../support/cluster.ts";
import { connectPresence } from "../support/presence-client.ts";
import { demoApp, pusherAppsEnv } from "../support/pusher-apps.ts";
import { connectPusher, connectPusherJs, type PusherClient, signer, subscribeJs } from "../support/pusher-client.ts";
import { SECRET } from "../support/tokens.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const MAX_MEMBERS = 4;
const env = {
  ...pusherAppsEnv({ ...demoApp, clientEvents: true, maxMembers: MAX_MEMBERS }),
  PUSHER_PRESENCE_LEAVE_SECONDS: "1",
};
const {
  nats,
  bus,
  pushers: [one, two],
} = useCluster({ pusher: env });

/** Changes of members that a client received, in order. */
const changes = ({ frames }: PusherClient) =>
  frames.flatMap(({ event, data }) =>
    /member_(added|removed)$/.test(event) ? [[event.replace(/.*_/, ""), JSON.parse(String(data)).user_id]] : [],
  );

const presenceOf = (frame: { readonly data?: unknown }) => JSON.parse(String(frame.data)).presence;

/** Subscribes with `channel_data` as it is, signed correctly. */
async function subscribeWith(client: PusherClient, channel: string, channelData: string) {
  const signature = channelSignature(demoApp.secret, { socketId: client.socketId, channel, channelData });
  const auth = `${demoApp.key}:${signature}`;
  client.send({ event: "pusher:subscribe", data: { channel, auth, channel_data: channelData } });
  return until("the answer", () =>
    client.frames.find((frame) => frame.channel === channel && /subscription_(succeeded|error)$/.test(frame.event)),
  );
}

test("two tabs of one user on two pushers are one member, added once and removed once", async () => {
  const witness = await connectPusher(one.url);
  await witness.subscribe("presence-tabs", { user_id: "witness" });
  using first = await connectPusherJs(one.url, { member: { user_id: "ann", user_info: { name: "Ann" } } });
  using second = await connectPusherJs(two.url, { member: { user_id: "ann", user_info: { name: "Ann" } } });

  const tabs = [await subscribeJs(first, "presence-tabs"), await subscribeJs(second, "presence-tabs")];

  for (const { channel } of tabs) {
    const members = (channel as PresenceChannel).members as Members & { members: unknown };
    expect(members.count).toBe(2);
    expect(members.members).toEqual({ witness: null, ann: { name: "Ann" } });
    expect(members.me).toEqual({ id: "ann", info: { name: "Ann" } });
  }
  await until("the member is added", () => changes(witness).length === 1);
  first.unsubscribe("presence-tabs");
  second.disconnect();
  await until("the member is removed", () => changes(witness).length === 2);
  expect(changes(witness)).toEqual([
    ["added", "ann"],
    ["removed", "ann"],
  ]);
  expect(witness.frames.find(({ event }) => event.endsWith("member_added"))).toEqual({
    event: "pusher_internal:member_added",
    channel: "presence-tabs",
    data: '{"user_id":"ann","user_info":{"name":"Ann"}}',
  });
});

test("a full channel refuses further members, and nobody learns of them", async () => {
  const witness = await connectPusher(one.url);
  await witness.subscribe("presence-full", { user_id: "witness" });
  const users = ["ann", "ben", "carl"];
  for (const [n, user] of users.entries()) {
    const client = await connectPusher(n % 2 === 0 ? two.url : one.url);
    expect((await client.subscribe("presence-full", { user_id: user })).event).toMatch(/succeeded$/);
  }
  const client = await connectPusher(two.url);

  const refused = await client.subscribe("presence-full", { user_id: "dora" });

  expect(refused).toMatchObject({ event: "pusher:subscription_error", data: { type: "LimitReached", status: 4100 } });
  // Another connection of a member is no other member.
  expect((await client.subscribe("presence-full", { user_id: "ann" })).event).toMatch(/succeeded$/);
  await until("the witness sees all", () => changes(witness).length >= users.length);
  expect(changes(witness)).toEqual(users.map((user) => ["added", user]));
});

test("joins that are under way count to the limit of topics, and who is refused was never shown", async () => {
  await using limited = await startPusher({
    nats: nats.url,
    env: { ...env, PUSHER_WORKERS: "1", PUSHER_MAX_TOPICS: "3", PUSHER_TOKEN_SECRET: SECRET },
  });
  const names = Array.from({ length: 6 }, (_, at) => `presence-many-${at}`);
  const witness = await connectPusher(one.url);
  for (const name of names) await witness.subscribe(name, { user_id: "witness" });
  const client = await connectPusher(limited.url);
  const fanwire = await connectPresence(limited, "fanwire", { topics: ["presence-*"], presence: ["presence-*"] });

  const answers = await Promise.all(names.map((name) => client.subscribe(name, { user_id: "pusher" })));
  const replies = await Promise.all(names.map((name) => fanwire.join(name)));

  const isIn = names.map((_, at) => at < 3);
  expect(answers.map(({ event }) => event.endsWith("succeeded"))).toEqual(isIn);
  expect(answers.slice(3)).toMatchObject(Array(3).fill({ data: { type: "LimitReached" } }));
  expect(replies.map(({ ok }) => ok)).toEqual(isIn);
  expect(replies.slice(3)).toMatchObject(Array(3).fill({ error: { code: "topic-limit" } }));
  expect(await metric(limited.adminUrl, "fanwire_pusher_topic_limits_total")).toBe(6);
  await until("the witness sees the members", () => changes(witness).length >= 6);
  await witness.settle();
  expect(changes(witness)).toHaveLength(6);
  client.send({ event: "pusher:unsubscribe", data: { channel: names[0] } });
  expect((await client.subscribe(names[5] ?? "", { user_id: "pusher" })).event).toMatch(/succeeded$/);
});

test("a client event names its sender by the signed data, whatever the frame claims", async () => {
  const sender = await connectPusher(one.url);
  const receiver = await connectPusher(two.url);
  await sender.subscribe("presence-talk", { user_id: "50% off" });
  await receiver.subscribe("presence-talk", { user_id: "ben" });

  sender.send({ event: "client-say", channel: "presence-talk", data: { a: 1 }, user_id: "boss" });

  expect(await receiver.next("client-say")).toEqual({
    event: "client-say",
    channel: "presence-talk",
    data: '{"a":1}',
    user_id: "50% off",
  });
});

test("ids are text, also numbers and names of object properties", async () => {
  const client = await connectPusher(one.url);
  const other = await connectPusher(two.url);
  await subscribeWith(other, "presence-ids", '{"user_id":"__proto__","user_info":{"a":1}}');

  const answer = await subscribeWith(client, "presence-ids", '{ "user_id" : 7 }');

  expect(answer.data).toContain('"__proto__":{"a":1}');
  expect(new Set(presenceOf(answer).ids)).toEqual(new Set(["7", "__proto__"]));
  expect(presenceOf(answer)).toMatchObject({ hash: { 7: null }, count: 2 });
});

test("a signed-in user needs no member data, and member data goes first", async () => {
  const client = await connectPusher(one.url);
  const userData = { id: "carla", user_info: { name: "Carla" } };
  client.send({ event: "pusher:signin", data: signer().authenticateUser(client.socketId, userData) });
  await client.next("pusher:signin_success");
  const { auth } = signer().authorizeChannel(client.socketId, "presence-signed");

  client.send({ event: "pusher:subscribe", data: { channel: "presence-signed", auth } });
  const answer = await client.next("pusher_internal:subscription_succeeded", "presence-signed");
  const both = await client.subscribe("presence-both", { user_id: "dora" });

  expect(presenceOf(answer)).toEqual({ ids: ["carla"], hash: { carla: { name: "Carla" } }, count: 1 });
  expect(presenceOf(both).ids).toEqual(["dora"]);
});

test.each([
  ["no id", "{}"],
  ["an empty id", '{"user_id":""}'],
  ["a long id", `{"user_id":"${"x".repeat(129)}"}`],
  ["an id that JSON rounds", '{"user_id":9007199254740993}'],
  ["an id that is no number", '{"user_id":1.5}'],
  ["an id that is an object", '{"user_id":{}}'],
  ["much information", `{"user_id":"1","user_info":{"a":"${"x".repeat(1_024)}"}}`],
  ["information that is nested deeply", `{"user_id":"1","user_info":${"[".repeat(9_000)}${"]".repeat(9_000)}}`],
  ["text that is no JSON", "{"],
  ["a list", "[]"],
])("member data with %s is refused", async (_what, data) => {
  const client = await connectPusher(one.url);

  expect(await subscribeWith(client, "presence-bad", data)).toMatchObject({ event: "pusher:subscription_error" });
});

test("a client that unsubscribes before it is subscribed is no member", async () => {
  const client = await connectPusher(one.url);
  const { auth, channel_data } = signer().authorizeChannel(client.socketId, "presence-brief", { user_id: "brief" });

  client.send({ event: "pusher:subscribe", data: { channel: "presence-brief", auth, channel_data } });
  client.send({ event: "pusher:unsubscribe", data: { channel: "presence-brief" } });
  const other = await connectPusher(two.url);

  await until("the member has left", async () => {
    const answer = await other.subscribe("presence-brief", { user_id: "other" });
    other.send({ event: "pusher:unsubscribe", data: { channel: "presence-brief" } });
    return !presenceOf(answer).ids.includes("brief");
  });
  await client.settle();
  // The success may be under way when the client unsubscribes. Nothing follows it.
  const own = client.frames.filter(({ channel }) => channel === "presence-brief");
  expect(own.filter(({ event }) => !event.endsWith("subscription_succeeded"))).toEqual([]);
});

test("a member who signs in, or whose sign-in is still under way, remains a member", async () => {
  const witness = await connectPusher(two.url);
  await witness.subscribe("presence-signin", { user_id: "witness" });
  const client = await connectPusher(one.url);
  await client.subscribe("presence-signin", { user_id: "dora" });
  client.send({ event: "pusher:signin", data: signer().authenticateUser(client.socketId, { id: "dora" }) });
  await client.next("pusher:signin_success");
  const early = await connectPusher(one.url);
  const data = signer().authorizeChannel(early.socketId, "presence-signin", { user_id: "emil" });
  early.send({ event: "pusher:subscribe", data: { channel: "presence-signin", ...data } });
  early.send({ event: "pusher:signin", data: signer().authenticateUser(early.socketId, { id: "emil" }) });
  await early.next("pusher_internal:subscription_succeeded");
  await early.next("pusher:signin_success");

  client.send({ event: "client-hello", channel: "presence-signin", data: "1" });

  expect(await witness.next("client-hello")).toMatchObject({ user_id: "dora" });
  const later = await connectPusher(two.url);
  const { ids } = presenceOf(await later.subscribe("presence-signin", { user_id: "later" }));
  expect(ids.sort()).toEqual(["dora", "emil", "later", "witness"]);
  await early.next("pusher_internal:member_added", "presence-signin");
  expect(changes(witness).filter(([what]) => what === "removed")).toEqual([]);
});

test("a client that the application unsubscribes before the answer learns of that, and may subscribe again", async () => {
  const client = await connectPusher(one.url);
  const { workerId, connectionId } = parseSocketId(client.socketId) ?? expect.fail("no socket id");
  const notice = (kind: object) =>
    bus.send(subjects.presenceWorkers, Buffer.from(JSON.stringify({ worker: "mute0001", ...kind })));
  let attempt = 0;

  const refused = await until("a channel that was unsubscribed before the answer", async () => {
    attempt++;
    const channel = `presence-ended-${attempt}`;
    // A worker that does not answer delays the first list of a topic, for two seconds.
    notice({ kind: "beat", beat: attempt, topics: 1 });
    // NATS keeps the order, so the worker knows of the other one when it answers.
    await askWorker(bus, workerId, { command: "describe" });
    const answer = client.subscribe(channel, { user_id: "ann" });
    await client.settle();
    await askWorker(bus, workerId, { command: "unsubscribe", connectionId, topic: channel });
    // On a busy machine the two seconds may be over before the client is unsubscribed.
    const frame = await answer;
    return frame.event === "pusher:subscription_error" && frame;
  });

  expect(refused).toMatchObject({ data: { type: "ServerError" } });
  notice({ kind: "end" });
  const again = await client.subscribe(refused.channel ?? "", { user_id: "ann" });
  expect(again.event).toBe("pusher_internal:subscription_succeeded");
});

test("clients learn of each member, also when thousands join and leave at the same time", async () => {
  const witness = await connectPusher(one.url);
  await witness.subscribe("presence-crowd", { user_id: "witness" });
  const worker = "crowd001";
  const joined = Array.from({ length: 2_500 }, (_, at) => ({ user: `user-${at}`, since: at }));
  const announce = (subject: string, message: object) =>
    bus.send(subject, Buffer.from(JSON.stringify({ worker, ...message })));

  announce(subjects.presenceWorkers, { kind: "beat", beat: 1, topics: 0 });
  announce(subjects.presence("presence-crowd"), { previous: 0, counter: 1, joined, left: [] });
  await until("all joins", () => changes(witness).length === joined.length);
  announce(subjects.presenceWorkers, { kind: "end" });
  await until("all leaves", () => changes(witness).length === 2 * joined.length);

  expect(new Set(changes(witness).map((change) => change.join())).size).toBe(2 * joined.length);
});
