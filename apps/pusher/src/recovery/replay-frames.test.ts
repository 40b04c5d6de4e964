import type { StoredPublication } from "@fanwire/bus";
import { formatConnectionAddress, headerNames, type Position, Subjects } from "@fanwire/protocol";
import { expect, test } from "vitest";
import type { BatchedFrames, SingleFrames } from "../connections/client-protocol.ts";
import type { Connection } from "../connections/connection.ts";
import { newCounters } from "../connections/counters.ts";
import type { SharedSubscription } from "../hub/shared-subscription.ts";
import { TimeSlices } from "../pacing/time-slices.ts";
import { type Missed, MissedLists } from "./missed-lists.ts";
import { ReplayFrames } from "./replay-frames.ts";
import type { SubscriptionPart } from "./shared-reads.ts";

const WORKER_ID = "abcd1234";
const subjects = new Subjects();
const end = { unread: 0, history: { epoch: "e", firstSequence: 1, lastSequence: 9, maxPerSubject: 10 } };
const since = { epoch: "e", sequence: 0 };

test("clients that missed the same publications share their frames", async () => {
  const { missedBy, framesFor, texts } = openFrames();
  const parts = [partOf(subscribe("news"), stored(1), stored(2))];
  const [one, two] = [await missedBy(parts), await missedBy(parts)];

  const first = framesFor(connect(1), one);
  const second = framesFor(connect(2), two);

  expect(texts(first)).toEqual(["e-1 1,e-2 2"]);
  expect(second[0]?.content).toBe(first[0]?.content);
});

test("a client with one more subscription shares the frames if it missed nothing there", async () => {
  const { missedBy, framesFor } = openFrames();
  const [news, own] = [partOf(subscribe("news"), stored(1)), partOf(subscribe("own"))];

  const first = framesFor(connect(1), await missedBy([news]));
  const second = framesFor(connect(2), await missedBy([own, news]));

  expect(second[0]?.content).toBe(first[0]?.content);
});

test("a client that published with `except` does not receive the shared frame with its publication", async () => {
  const { missedBy, framesFor, texts } = openFrames();
  const except = formatConnectionAddress({ workerId: WORKER_ID, connectionId: 2 });
  const missed = await missedBy([partOf(subscribe("news"), stored(1), stored(2, { [headerNames.except]: except }))]);

  expect(texts(framesFor(connect(1), missed))).toEqual(["e-1 1,e-2 2"]);
  expect(texts(framesFor(connect(2), missed))).toEqual(["e-1 1"]);
  expect(texts(framesFor(connect(3), missed))).toEqual(["e-1 1,e-2 2"]);
});

test("a client that has unsubscribed during its replay does not receive the shared frame", async () => {
  const { missedBy, framesFor, texts } = openFrames();
  const [news, own] = [subscribe("news"), subscribe("own")];
  const missed = await missedBy([partOf(news, stored(1)), partOf(own, stored(2))]);

  expect(texts(framesFor(connect(1), missed))).toEqual(["e-1 1,e-2 2"]);
  expect(texts(framesFor(connect(2), missed, { has: (each) => each === news }))).toEqual(["e-1 1"]);
});

test("a client that receives no later copy of a publication does not share the frame of the earlier one", async () => {
  const { missedBy, framesFor, texts } = openFrames();
  const [news, own] = [subscribe("news"), subscribe("own")];
  // Each copy is a portion by itself.
  const large = { ...stored(1), content: Buffer.from("1".padEnd(70_000)) };
  const missed = await missedBy([news, own].map((subscription) => partOf(subscription, large)));

  expect(texts(framesFor(connect(1), missed))).toEqual([`e-0.${news.tag} 1`, "e-1 1"]);
  expect(texts(framesFor(connect(2), missed, { has: (each) => each === news }))).toEqual(["e-1 1"]);
});

test("clients with other encodings do not share frames, and each delivery counts", async () => {
  const { missedBy, framesFor, texts, counters } = openFrames();
  const missed = await missedBy([partOf(subscribe("news"), stored(1), stored(2))]);

  expect(texts(framesFor(connect(1), missed))).toEqual(["e-1 1,e-2 2"]);
  expect(texts(framesFor(connect(2, single), missed))).toEqual(["1", "2"]);
  expect(texts(framesFor(connect(3, single), missed))).toEqual(["1", "2"]);
  expect(texts(framesFor(connect(4), missed))).toEqual(["e-1 1,e-2 2"]);
  expect(counters).toMatchObject({ deliveries: 8, deliveredBytes: 8, uncarried: 0 });
});

test("clients with another position, copy or end do not share a list", async () => {
  const { missedBy } = openFrames();
  const news = subscribe("news");
  const parts = [partOf(news, stored(1), stored(2))];
  const sequencesOf = async (...[from, upTo]: [typeof since & { copy?: string }, number]) =>
    (await missedBy(parts, from, upTo)).map(({ received }) => received.position?.sequence);

  expect(await sequencesOf(since, 2)).toEqual([1, 2]);
  expect(await sequencesOf(since, 1)).toEqual([1]);
  expect(await sequencesOf({ ...since, copy: news.tag }, 2)).toEqual([2]);
  expect(await sequencesOf(since, 2)).toEqual([1, 2]);
});

const batched: BatchedFrames = {
  frames: "batched",
  batching: { separator: ",", maxBytes: 100 },
  reportsDrain: false,
  encode: ({ text: { position, resume, data } }) => `${resume ?? position} ${data.trim()}`,
};
const single: SingleFrames = { frames: "single", encode: ({ content }) => content };

function openFrames() {
  const counters = newCounters();
  const frames = new ReplayFrames({ counters, workerId: WORKER_ID });
  const lists = new MissedLists(subjects, new TimeSlices());
  const missedBy = (parts: readonly SubscriptionPart[], from: Position = since, upTo = 2) =>
    lists.merged(parts.map((part) => lists.of(part, from, upTo)));
  const framesFor = (
    connection: Connection,
    missed: readonly Missed[],
    { has = () => true }: { has?: (subscription: SharedSubscription) => boolean } = {},
  ) => {
    const request = { connection, missed, kind: "connection", has } as const;
    return [...frames.portions(request)].flatMap((portion) => frames.encode(portion, request, true));
  };
  const texts = (sent: ReturnType<typeof framesFor>) => sent.map(({ content }) => Buffer.from(content).toString());
  return { missedBy, framesFor, texts, counters };
}

function connect(connectionId: number, encoding: BatchedFrames | SingleFrames = batched): Connection {
  const state = { connectionId, protocol: { encodingOf: () => encoding } };
  return { getUserData: () => state } as unknown as Connection;
}

function subscribe(topic: string): SharedSubscription {
  const tag = topic === "news" ? "0000000001" : "0000000002";
  return { tag, topicOf: () => topic, pattern: topic } as unknown as SharedSubscription;
}

function partOf(subscription: SharedSubscription, ...publications: StoredPublication[]): SubscriptionPart {
  return { subscription, publications, through: 2, ...end };
}

function stored(sequence: number, headers?: Record<string, string>): StoredPublication {
  return {
    sequence,
    subject: subjects.history({ kind: "topic", topic: "news" }),
    target: { kind: "topic", topic: "news" },
    content: Buffer.from(String(sequence)),
    headers: headers && { bytes: 0, get: (name: string) => headers[name] ?? "" },
    time: new Date(0),
  } as StoredPublication;
}
