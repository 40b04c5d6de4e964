import type { Bus, BusMessage } from "@fanwire/bus";
import { Subjects } from "@fanwire/protocol";
import { beforeEach, expect, test } from "vitest";
import { finishSteps, type Steps } from "../data/steps.ts";
import { maxFrameBytes } from "../wire/frames.ts";
import { Bridge } from "./bridge.ts";
import type { BrokerPeer } from "./broker-peer.ts";
import { type Counters, newCounters } from "./counters.ts";
import type { Deliveries } from "./deliveries.ts";
import type { PublishWindow } from "./publish-window.ts";
import { Subscriptions } from "./subscriptions.ts";

type TestPeer = BrokerPeer & { isClosed: boolean; readonly received: string[] };

const subjects = new Subjects("fanwire");
let counters: Counters;
let subscriptions: Subscriptions<BrokerPeer>;
let bridge: Bridge;
let receivers: Map<string, (message: BusMessage) => void>;
/** Deliveries that wait for an earlier one. */
let waiting: Steps<void>[];
let replies: string[];

beforeEach(() => {
  counters = newCounters();
  subscriptions = new Subscriptions();
  receivers = new Map();
  waiting = [];
  replies = [];
  const subscribe = (subject: string, receiver: (message: BusMessage) => void) => {
    receivers.set(subject, receiver);
    return { unsubscribe: () => receivers.delete(subject) };
  };
  const add = (_bytes: number, steps: Steps<void>) => waiting.push(steps);
  bridge = new Bridge({
    ...{ counters, subjects, subscriptions, broadcastEvents: ["one", "two"] },
    // The bridge uses nothing else of these.
    bus: { subscribe } as unknown as Bus,
    deliveries: { add } as unknown as Deliveries,
    publishWindow: {} as PublishWindow,
  });
});

function addPeer(...channels: string[]): TestPeer {
  const received: string[] = [];
  const deliver = (payload: Uint8Array) => {
    // The name and the start of the content identify a publication.
    const text = Buffer.from(payload).toString("latin1");
    received.push(`${/channel";s:\d+:"([^"]*)"/.exec(text)?.[1]} ${/content";s:\d+:"(.{1,5})/.exec(text)?.[1]}`);
  };
  const peer: TestPeer = { ...{ isClosed: false, isSlow: false, stalledSince: undefined, close }, received, deliver };
  subscribe(peer, ...channels);
  return peer;
}

function close(): void {}

function subscribe(peer: TestPeer, ...channels: string[]): void {
  for (const key of channels) if (subscriptions.subscribe(peer, key)) bridge.onChannel(key, true);
}

function publish(target: "everyone" | string, content: string | Buffer): void {
  const isToAll = target === "everyone";
  const everyone = subjects.live({ kind: "everyone" });
  const [workerId = "", connectionId = ""] = target.split(".");
  const pattern = isToAll ? everyone : subjects.liveConnections(workerId);
  const subject = isToAll ? everyone : pattern.replace("*", connectionId);
  const respond = (reply: string) => replies.push(reply) > 0;
  receivers.get(pattern)?.({ subject, data: Buffer.from(content), respond });
}

function deliverAll(): void {
  for (const steps of waiting.splice(0)) finishSteps(steps);
}

test("publications to everyone and to one connection keep their order, and the answer follows the delivery", () => {
  const peer = addPeer("one", "3");

  publish("everyone", "first");
  publish("3.17", "later");
  expect([peer.received, replies]).toEqual([[], []]);
  deliverAll();

  expect(peer.received).toEqual(["one first", "3 later"]);
  expect(replies).toEqual(['{"outcome":"forwarded"}']);
  expect(counters.bridged).toMatchObject({ "from-everyone": 1, "from-connection": 1 });
});

test("a worker whose peers have all left before the delivery gives no answer, because another server may have more", () => {
  const [closed, gone] = [addPeer("3"), addPeer("4")];
  publish("3.1", "lost");
  publish("4.1", "lost");
  closed.isClosed = true;
  subscriptions.unsubscribe(gone, "4");
  deliverAll();

  expect([closed.received, gone.received, replies]).toEqual([[], [], []]);
  expect(counters.bridged["from-connection"]).toBe(0);
});

test("content that fits in no frame is counted as lost, and is no unknown connection", () => {
  const peer = addPeer("one", "3");
  const large = Buffer.alloc(maxFrameBytes, "x");

  publish("everyone", large);
  publish("3.17", large);
  publish("3.x", "no id");
  deliverAll();

  expect(peer.received).toEqual([]);
  expect(replies).toEqual(['{"outcome":"uncarried"}', '{"outcome":"no-connection"}']);
  expect(counters.bridgeLosses).toBe(2);
  expect(counters.bridged).toMatchObject({ "from-everyone": 0, "from-connection": 0 });
});

test("a peer that subscribes to another broadcast name between two steps receives a publication once", () => {
  const peer = addPeer("one");

  publish("everyone", "first");
  const [steps] = waiting;
  expect(steps?.next().done).toBe(false);
  subscribe(peer, "two");
  deliverAll();

  expect(peer.received).toEqual(["one first"]);
});
