import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { type ChannelPeer, connectPeer } from "../support/channel-peer.ts";
import { metric } from "../support/cluster.ts";
import { reply } from "../support/php-value.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const {
  nats,
  channels: [one, other],
} = useCluster({ channel: [{}, {}] });

describe("the recorded session of a real client", () => {
  type Capture = { name: string; direction: "client->server" | "server->client"; hex: string };
  const captures: Capture[] = JSON.parse(
    readFileSync(new URL("../../apps/channel/test-data/channel-wire-captures.json", import.meta.url), "utf8"),
  );

  test("receives the same frames, byte for byte, after each request", async () => {
    using peer = await connectPeer(one);
    const session = captures.filter(({ name }) => !name.startsWith("malformed-"));
    const differing = new Set<string>();

    for (let at = 0; at < session.length; ) {
      const request = session[at++];
      const recorded: string[] = [];
      while (session[at]?.direction === "server->client") recorded.push(session[at++]?.hex.slice(8) ?? "");
      peer.payloads.length = 0;
      peer.socket.write(Buffer.from(request?.hex ?? "", "hex"));
      await until(`the replies to ${request?.name}`, () => peer.payloads.length >= recorded.length);
      await peer.settle();
      const received = peer.payloads.map((payload) => Buffer.from(payload, "latin1").toString("hex"));
      // One item of each of two queues: each queue keeps its order, but there is none between them.
      if (request?.name.startsWith("reserve-")) for (const frames of [received, recorded]) frames.sort();
      if (JSON.stringify(received) !== JSON.stringify(recorded)) differing.add(request?.name ?? "");
    }

    expect([...differing]).toEqual([]);
    // The original cannot read these two and drops them as well.
    expect(await metric(one.adminUrl, "fanwire_channel_ignored_total", { reason: "unsafe-value" })).toBe(2);
    expect(await metric(one.adminUrl, "fanwire_channel_ignored_total")).toBe(2);
  });
});

describe("peers on two servers", () => {
  test("receive each other's events in order, for names of any bytes and length", async () => {
    using here = await connectPeer(one);
    using there = await connectPeer(other);
    const names = [
      "order",
      "вещание",
      "",
      "a b*>.=",
      Buffer.from([0, 255, 254]),
      "x".repeat(5_000),
      "ж".repeat(400),
      7,
    ];
    there.subscribe(...names);
    await there.settle();

    for (const name of names) for (const data of ["first", "second"]) here.publish([name], data);

    await until("all events", () => there.payloads.length === names.length * 2);
    expect(there.payloads).toEqual(
      names.flatMap((name) => [reply("event", name, "first"), reply("event", name, "second")]),
    );
    expect(here.payloads).toEqual([]);
  });

  test("an event keeps the publisher's form of the name, and its references are renumbered", async () => {
    using here = await connectPeer(one);
    using there = await connectPeer(other);
    there.subscribe(5);
    await there.settle();

    here.publish(["5"], "x");

    await until("the event", () => there.payloads.length === 1);
    expect(there.payloads).toEqual([reply("event", "5", "x")]);
  });

  test("a peer receives nothing after its unsubscribe, and nothing for names without a subscription", async () => {
    using here = await connectPeer(one);
    using there = await connectPeer(other);
    there.subscribe("left", "kept");
    await there.settle();
    there.unsubscribe("left");
    await there.settle();

    here.publish(["left", "kept", "never"], 1);

    await until("the event", () => there.payloads.length === 1);
    expect(there.payloads).toEqual([reply("event", "kept", 1)]);
  });

  test("a peer that subscribes and publishes in one write receives its event; a publication right before a close is delivered", async () => {
    using there = await connectPeer(other);
    there.subscribe("last words");
    await there.settle();
    using self = await connectPeer(one);
    self.subscribe("self");
    self.publish(["self"], "me");
    const leaving = await connectPeer(one);

    for (let count = 0; count < 500; count++) leaving.publish(["last words"], count);
    leaving.socket.end();

    await until("all last publications", () => there.payloads.length === 500);
    expect(there.payloads).toEqual(Array.from({ length: 500 }, (_, count) => reply("event", "last words", count)));
    await until("itself", () => self.payloads.length === 1);
  });

  test("servers subscribe in NATS only to the channels of their peers", async () => {
    using peer = await connectPeer(one);
    const before = await metric(one.adminUrl, "fanwire_channel_channels");
    peer.subscribe("a", "b", "c");
    await peer.settle();
    expect(await metric(one.adminUrl, "fanwire_channel_channels")).toBe(before + 3);

    peer.socket.end();

    await until(
      "all channels are unsubscribed",
      async () => (await metric(one.adminUrl, "fanwire_channel_channels")) === before,
    );
  });

  test("foreign bytes on NATS do not reach a peer unless they are an event", async () => {
    using peer = await connectPeer(one);
    peer.subscribe("forged", "x");
    await peer.settle();
    const { connectBus } = await import("../support/bus.ts");
    await using bus = await connectBus(nats.url);
    const good = reply("event", "forged", "good");
    const bad = [
      "",
      "hello",
      good.slice(0, -1),
      `${good}x`,
      reply("event", "x", "wrong name"),
      reply("queue", "forged", 1),
    ];

    for (const payload of [...bad, good]) await bus.publish("fanwire.channel.event.forged", Buffer.from(payload));

    await until("the good one", () => peer.payloads.length > 0);
    expect(peer.payloads).toEqual([good]);
    expect(await metric(one.adminUrl, "fanwire_channel_refused_from_nats_total", { kind: "event" })).toBe(bad.length);
  });
});

describe("round-robin events", () => {
  const dataOf = (peer: ChannelPeer) => peer.payloads.length;

  test("go to B C A B C A among the subscribers of one server", async () => {
    const peers = await Promise.all([connectPeer(one), connectPeer(one), connectPeer(one)]);
    for (const peer of peers) {
      peer.subscribe("turns");
      await peer.settle();
    }
    using publisher = await connectPeer(one);

    for (let count = 0; count < 6; count++) publisher.publishLoop(["turns"], count);

    await until("all publications arrive", () => peers.every((peer) => dataOf(peer) === 2));
    const [a, b, c] = peers.map(({ payloads }) => payloads);
    expect(b).toEqual([reply("event", "turns", 0), reply("event", "turns", 3)]);
    expect(c).toEqual([reply("event", "turns", 1), reply("event", "turns", 4)]);
    expect(a).toEqual([reply("event", "turns", 2), reply("event", "turns", 5)]);
  });

  test("are distributed fairly among all subscribers of all servers, each to one", async () => {
    const here = await Promise.all([connectPeer(one), connectPeer(one), connectPeer(one)]);
    const there = [await connectPeer(other)];
    const peers = [...here, ...there];
    for (const peer of peers) {
      peer.subscribe("fair");
      await peer.settle();
    }
    using publisher = await connectPeer(other);
    const total = 4_000;

    for (let count = 0; count < total; count++) publisher.publishLoop(["fair"], count);

    await until("all publications arrive", () => peers.reduce((sum, peer) => sum + dataOf(peer), 0) === total);
    // A binomial share of 1,000 has a deviation of 27: five of them.
    for (const peer of peers) expect(Math.abs(dataOf(peer) - total / 4)).toBeLessThan(140);
    expect(new Set(peers.flatMap(({ payloads }) => payloads)).size).toBe(total);
  });
});
