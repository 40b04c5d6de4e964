import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { connectPeer, connectPeers } from "../support/channel-peer.ts";
import { metric } from "../support/cluster.ts";
import { reply } from "../support/php-value.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const {
  bus,
  channels: [one, other],
} = useCluster();

type Capture = { name: string; direction: "client->server" | "server->client"; hex: string };
const captures: Capture[] = JSON.parse(
  readFileSync(new URL("../../apps/channel/test-data/channel-wire-captures.json", import.meta.url), "utf8"),
);

test("a real client receives the frames of its recorded session, byte for byte, after each request", async () => {
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

  test("foreign bytes on NATS do not reach a peer unless they are an event", async () => {
    using peer = await connectPeer(one);
    peer.subscribe("forged", "x");
    await peer.settle();
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

test("round-robin events are distributed fairly among all subscribers of all servers, each to one", async () => {
  const here = await connectPeers(one, 3);
  const peers = [...here, await connectPeer(other)];
  for (const peer of peers) {
    peer.subscribe("fair");
    await peer.settle();
  }
  using publisher = await connectPeer(other);
  const total = 4_000;

  for (let count = 0; count < total; count++) publisher.publishLoop(["fair"], count);

  const received = () => peers.flatMap(({ payloads }) => payloads);
  await until("all publications arrive", () => received().length === total);
  // A binomial share of 1,000 has a deviation of 27: five of them.
  for (const { payloads } of peers) expect(Math.abs(payloads.length - total / 4)).toBeLessThan(140);
  expect(new Set(received()).size).toBe(total);
});
