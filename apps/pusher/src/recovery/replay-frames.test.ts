import type { StoredPublication } from "@fanwire/bus";
import { formatConnectionAddress, headerNames, Subjects } from "@fanwire/protocol";
import { expect, test } from "vitest";
import type { BatchedFrames, SingleFrames } from "../connections/client-protocol.ts";
import type { Connection } from "../connections/connection.ts";
import { newCounters } from "../connections/counters.ts";
import type { SharedSubscription } from "../hub/shared-subscription.ts";
import { MissedLists } from "./missed-lists.ts";
import { ReplayFrames } from "./replay-frames.ts";

const WORKER_ID = "abcd1234";
const subjects = new Subjects();
const end = { unread: 0, history: { epoch: "e", firstSequence: 1, lastSequence: 9, maxPerSubject: 10 } };
const since = { epoch: "e", sequence: 0 };

test("clients that missed the same publications share their frames", () => {
  const { lists, framesFor, texts } = openFrames();
  const news = subscribe("news");
  const parts = [{ subscription: news, publications: [stored(1), stored(2)], through: 2, ...end }];
  const [one, two] = [lists.of(parts, since, 2), lists.of(parts, since, 2)];

  const first = framesFor(connect(1), one);
  const second = framesFor(connect(2), two);

  expect(texts(first)).toEqual(["e-1 1,e-2 2"]);
  expect(second[0]?.content).toBe(first[0]?.content);
});

test("a client with one more subscription shares the frames if it missed nothing there", () => {
  const { lists, framesFor } = openFrames();
  const news = { subscription: subscribe("news"), publications: [stored(1)], through: 1, ...end };
  const own = { subscription: subscribe("own"), publications: [], through: 1, ...end };

  const first = framesFor(connect(1), lists.of([news], since, 1));
  const second = framesFor(connect(2), lists.of([own, news], since, 1));

  expect(second[0]?.content).toBe(first[0]?.content);
});

test("a client that published with `except` does not receive the shared frame with its publication", () => {
  const { lists, framesFor, texts } = openFrames();
  const except = formatConnectionAddress({ workerId: WORKER_ID, connectionId: 2 });
  const publications = [stored(1), stored(2, { [headerNames.except]: except })];
  const missed = lists.of([{ subscription: subscribe("news"), publications, through: 2, ...end }], since, 2);

  expect(texts(framesFor(connect(1), missed))).toEqual(["e-1 1,e-2 2"]);
  expect(texts(framesFor(connect(2), missed))).toEqual(["e-1 1"]);
  expect(texts(framesFor(connect(3), missed))).toEqual(["e-1 1,e-2 2"]);
});

test("a client that has unsubscribed during its replay does not receive the shared frame", () => {
  const { lists, framesFor, texts } = openFrames();
  const [news, own] = [subscribe("news"), subscribe("own")];
  const parts = [
    { subscription: news, publications: [stored(1)], through: 2, ...end },
    { subscription: own, publications: [stored(2)], through: 2, ...end },
  ];
  const missed = lists.of(parts, since, 2);

  expect(texts(framesFor(connect(1), missed))).toEqual(["e-1 1,e-2 2"]);
  expect(texts(framesFor(connect(2), missed, { has: (each) => each === news }))).toEqual(["e-1 1"]);
});

test("clients with other encodings do not share frames, and each delivery counts", () => {
  const { lists, framesFor, texts, counters } = openFrames();
  const missed = lists.of(
    [{ subscription: subscribe("news"), publications: [stored(1), stored(2)], through: 2, ...end }],
    since,
    2,
  );

  expect(texts(framesFor(connect(1), missed))).toEqual(["e-1 1,e-2 2"]);
  expect(texts(framesFor(connect(2, single), missed))).toEqual(["1", "2"]);
  expect(texts(framesFor(connect(3, single), missed))).toEqual(["1", "2"]);
  expect(texts(framesFor(connect(4), missed))).toEqual(["e-1 1,e-2 2"]);
  expect(counters).toMatchObject({ deliveries: 8, deliveredBytes: 8, uncarried: 0 });
});

test("clients with another position, copy or end do not share a list", () => {
  const { lists } = openFrames();
  const news = subscribe("news");
  const parts = [{ subscription: news, publications: [stored(1), stored(2)], through: 2, ...end }];
  const sequencesOf = (...[from, upTo]: [typeof since & { copy?: string }, number]) =>
    lists.of(parts, from, upTo).map(({ received }) => received.position?.sequence);

  expect(sequencesOf(since, 2)).toEqual([1, 2]);
  expect(sequencesOf(since, 1)).toEqual([1]);
  expect(sequencesOf({ ...since, copy: news.tag }, 2)).toEqual([2]);
  expect(sequencesOf(since, 2)).toEqual([1, 2]);
});

const batched: BatchedFrames = {
  frames: "batched",
  batching: { separator: ",", maxBytes: 100 },
  reportsDrain: false,
  encode: ({ text: { position, data } }) => `${position} ${data}`,
};
const single: SingleFrames = { frames: "single", encode: ({ content }) => content };

function openFrames() {
  const counters = newCounters();
  const frames = new ReplayFrames({ counters, workerId: WORKER_ID });
  const lists = new MissedLists(subjects);
  const framesFor = (
    connection: Connection,
    missed: ReturnType<typeof lists.of>,
    { has = () => true }: { has?: (subscription: SharedSubscription) => boolean } = {},
  ) => {
    const request = { connection, missed, kind: "connection", has } as const;
    return frames.portions(request).flatMap((portion) => frames.encode(portion, request, true));
  };
  const texts = (sent: ReturnType<typeof framesFor>) => sent.map(({ content }) => Buffer.from(content).toString());
  return { lists, framesFor, texts, counters };
}

function connect(connectionId: number, encoding: BatchedFrames | SingleFrames = batched): Connection {
  const state = { connectionId, protocol: { encodingOf: () => encoding } };
  return { getUserData: () => state } as unknown as Connection;
}

function subscribe(topic: string): SharedSubscription {
  const tag = topic === "news" ? "0000000001" : "0000000002";
  return { tag, topicOf: () => topic, pattern: topic } as unknown as SharedSubscription;
}

function stored(sequence: number, headers?: Record<string, string>): StoredPublication {
  return {
    sequence,
    subject: subjects.history({ kind: "topic", topic: "news" }),
    target: { kind: "topic", topic: "news" },
    content: Buffer.from(String(sequence)),
    headers: headers && { get: (name: string) => headers[name] ?? "" },
    time: new Date(0),
  } as StoredPublication;
}
