import { beforeAll, expect, test } from "vitest";
import { type ChannelPeer, connectPeer } from "../support/channel-peer.ts";
import { metric, startChannel } from "../support/cluster.ts";
import { postPublication } from "../support/http-api.ts";
import { reply } from "../support/php-value.ts";
import { connectRawClient, type RawClient } from "../support/raw-client.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

// A cluster in the middle of its migration: two channel servers, a pusher and a publisher of ours; Workerman's own
// pushers and publishers are peers.
const { nats, channels, pusher, publisher } = useCluster();
let browser: RawClient;
/** As a PHP pusher with worker id 0 or 1 subscribes. */
let phpPushers: [ChannelPeer, ChannelPeer];
let phpPublisher: ChannelPeer;

beforeAll(async () => {
  browser = await connectRawClient(pusher.url);
  phpPushers = [await connectPeer(channels[0]), await connectPeer(channels[1])];
  phpPublisher = await connectPeer(channels[1]);
  for (const [workerId, peer] of phpPushers.entries()) {
    peer.subscribe(workerId, "вещание");
    await peer.settle();
  }
});

/** Returns what all received, after everything sent before has arrived. */
async function received(): Promise<{ browser: (string | Buffer)[]; php: string[][] }> {
  const marker = `marker ${Math.random()}`;
  phpPublisher.publish(["вещание"], { content: marker });
  await until("the marker", () => browser.frames.includes(marker));
  const markerEvent = reply("event", "вещание", { content: marker });
  await until("the marker", () => phpPushers.every(({ payloads }) => payloads.includes(markerEvent)));
  const result = {
    browser: browser.frames.filter((frame) => frame !== marker),
    php: phpPushers.map(({ payloads }) => payloads.filter((payload) => payload !== markerEvent)),
  };
  browser.frames.length = 0;
  for (const { payloads } of phpPushers) payloads.length = 0;
  return result;
}

test("a message with several broadcast names reaches a browser once; other names do not reach it", async () => {
  phpPublisher.publish(["broadcast", "广播"], { content: "once" });
  phpPublisher.publish(["broadcast"], { content: 7 });
  phpPublisher.publish(["broadcast"], { content: null });
  phpPublisher.publish(["broadcast"], "no array");
  phpPublisher.publish(["other"], { content: "not for browsers" });
  phpPublisher.publishLoop(["broadcast"], { content: "round robin is for peers" });

  expect((await received()).browser).toEqual(["once", "7"]);
});

test.each([
  ["text", "привет"],
  ["bytes that are not UTF-8", Buffer.from([0, 255, 254, 34])],
])("%s from either publisher reaches the browsers of both pushers unchanged, once each", async (_, content) => {
  const event = reply("event", "вещание", { content });

  phpPublisher.publish(["вещание"], { content });
  expect(await received()).toEqual({ browser: [content], php: [[event], [event]] });

  const data = Buffer.from(content).toString("base64");
  expect(await post({ target: { everyone: true }, data, encoding: "base64" })).toEqual([200, { status: "published" }]);
  expect(await received()).toEqual({ browser: [content], php: [[event], [event]] });
});

test("a PHP publisher's publication to one of our connections reaches that connection alone", async () => {
  const stranger = await connectRawClient(pusher.url);
  phpPublisher.publish([browser.workerId], { to_connection_id: browser.connectionId, content: "for you" });
  phpPublisher.publish([browser.workerId], { to_connection_id: Number(browser.connectionId), content: "as a number" });
  phpPublisher.publish([browser.workerId], { content: "for nobody" });
  phpPublisher.publish(["aaaaaaaa"], { to_connection_id: "1", content: "nobody has it" });

  expect(await received()).toEqual({ browser: ["for you", "as a number"], php: [[], []] });
  expect(stranger.frames.filter((frame) => !String(frame).startsWith("marker"))).toEqual([]);
});

test("a durable publication reaches the browsers of both kinds of pusher, once each", async () => {
  expect((await post({ target: { everyone: true }, data: "kept", durable: true }))[0]).toBe(200);
  await until("the browser has it", () => browser.frames.includes("kept"));

  const event = reply("event", "вещание", { content: "kept" });
  expect(await received()).toEqual({ browser: ["kept"], php: [[event], [event]] });
});

test("a peer that subscribes to several broadcast names receives a publication once", async () => {
  using peer = await connectPeer(channels[0]);
  peer.subscribe("broadcast", "广播", "вещание");
  await peer.settle();

  await post({ target: { everyone: true }, data: "once" });
  await received();

  await until("all publications arrive", () => peer.payloads.length >= 2);
  expect(peer.payloads.filter((payload) => payload.includes('"once"'))).toEqual([
    reply("event", "вещание", { content: "once" }),
  ]);
});

test("our publisher's publication to a connection of a PHP pusher reaches that pusher alone and is reported as forwarded", async () => {
  expect(await post({ target: { connection: "1.2" }, data: "hello" })).toEqual([200, { status: "forwarded" }]);
  const seedRoute = await fetch(`${publisher.url}/?to_worker_id=0&to_connection_id=3&content=there`);
  expect(await seedRoute.text()).toBe("ok");
  const nobody = await post({ target: { connection: "5.1" }, data: "hello" });
  expect(nobody).toMatchObject([404, { error: { code: "connection_not_found" } }]);

  await until("both publications arrive", () => phpPushers.every(({ payloads }) => payloads.length === 1));
  expect(await received()).toEqual({
    browser: [],
    php: [
      [reply("event", "0", { to_connection_id: "3", content: "there" })],
      [reply("event", "1", { to_connection_id: "2", content: "hello" })],
    ],
  });
});

test("a channel server subscribes to the cluster only while one of its peers needs it", async () => {
  await using idle = await startChannel({ nats: nats.url });
  using peer = await connectPeer(idle);
  const bridged = () => metric(idle.adminUrl, "fanwire_channel_bridged_total", { direction: "from-everyone" });

  await post({ target: { everyone: true }, data: "not subscribed" });
  peer.subscribe("broadcast");
  await peer.settle();
  await post({ target: { everyone: true }, data: "subscribed" });
  await until("the publication arrives", () => peer.payloads.length === 1);
  peer.unsubscribe("broadcast");
  await peer.settle();
  await post({ target: { everyone: true }, data: "not subscribed" });
  await received();

  expect(await bridged()).toBe(1);
  expect(peer.payloads).toEqual([reply("event", "broadcast", { content: "subscribed" })]);
});

async function post(publication: unknown): Promise<[number, unknown]> {
  const { status, body } = await postPublication(publisher, publication);
  return [status, body];
}
