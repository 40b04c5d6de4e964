import { Subjects } from "@fanwire/protocol";
import { expect, test } from "vitest";
import {
  encodeDurable,
  encodePublication,
  fromDelivery,
  type PublishResult,
  receiptOfConnection,
  refusalOfAll,
  resultOfAll,
  storedNow,
} from "./publish-result.ts";

const subjects = new Subjects();
const content = new Uint8Array([0xff, 0x00]);

test("a publication becomes a subject, its content as it is, and headers only where there is something to say", () => {
  expect(encodePublication(subjects, { target: { kind: "everyone" }, content })).toEqual({
    subject: "fanwire.live.all",
    content,
    headers: [],
  });

  const connection = { workerId: "abcdefgh", connectionId: 7 };
  expect(
    encodePublication(subjects, {
      target: { kind: "connection", connection },
      content,
      event: "событие",
      id: "42",
      receipt: "r1",
      except: { workerId: "hgfedcba", connectionId: 1 },
    }),
  ).toEqual({
    subject: "fanwire.live.connection.abcdefgh.7",
    content,
    headers: [
      ["Event", "событие"],
      ["Id", "42"],
      ["Receipt", "r1"],
      ["Except", "hgfedcba.1"],
    ],
  });
});

test("a worker's word is passed on, and gone means nobody has the connection", () => {
  expect(fromDelivery("delivered")).toEqual({ ok: true, status: "delivered" });
  expect(fromDelivery("buffered")).toEqual({ ok: true, status: "buffered" });
  expect(fromDelivery("gone")).toEqual({ ok: false, reason: "connection-not-found" });
});

test("a batch is refused as a whole only when NATS was away for all of it", () => {
  const published: PublishResult = { ok: true, status: "published" };
  const unavailable: PublishResult = { ok: false, reason: "unavailable" };
  const unconfirmed: PublishResult = { ok: false, reason: "unconfirmed" };
  const gone: PublishResult = { ok: false, reason: "connection-not-found" };

  expect(refusalOfAll([published, unavailable])).toBeUndefined();
  expect(refusalOfAll([gone, gone])).toBeUndefined();
  expect(refusalOfAll([gone, unavailable])).toBeUndefined();
  expect(refusalOfAll([unavailable, unavailable])).toEqual(unavailable);
  expect(refusalOfAll([unavailable, unconfirmed])).toEqual(unconfirmed);
});

test("a durable publication goes to the history's subject", () => {
  const target = { kind: "topic", topic: "a.ж" } as const;

  expect(encodeDurable(subjects, { target, content, id: "42" })).toEqual({
    subject: "fanwire.history.topic.a.=D0=B6",
    content,
    headers: [["Id", "42"]],
  });
});

const stored = (sequence: number, isDuplicate = false): PublishResult => ({
  ok: true,
  status: "stored",
  positions: [{ epoch: "e", sequence }],
  isDuplicate,
});

test("a request to several topics is what all of its publications are", () => {
  const published: PublishResult = { ok: true, status: "published" };

  expect(resultOfAll([published, published])).toEqual(published);
  expect(resultOfAll([stored(1), stored(2, true)])).toEqual({
    ok: true,
    status: "stored",
    positions: [1, 2].map((sequence) => ({ epoch: "e", sequence })),
    isDuplicate: false,
  });
  expect(resultOfAll([stored(1, true), stored(2, true)])).toMatchObject({ isDuplicate: true });
});

test("a request of which only a part is known to be done may have been done", () => {
  const unusable: PublishResult = { ok: false, reason: "unusable", detail: "no leader" };
  const unconfirmed: PublishResult = { ok: false, reason: "unconfirmed" };

  expect(resultOfAll([unusable, unusable])).toEqual(unusable);
  expect(resultOfAll([unusable, unconfirmed])).toEqual(unconfirmed);
  expect(resultOfAll([stored(1), unusable])).toEqual({ ...unusable, reason: "unconfirmed" });
});

test("workers wait for what was stored now, not for what had been before", () => {
  const publications = ["a", "b"].map((topic) => ({ target: { kind: "topic", topic } as const, content }));

  expect(storedNow(subjects, publications, [stored(7), stored(3, true)])).toEqual([
    { subject: "fanwire.history.topic.a", position: "e-7" },
  ]);
  expect(storedNow(subjects, publications, [{ ok: true, status: "published" }])).toEqual([]);
});

test("the receipt of one connection is its worker's word, and a Workerman worker gives none", () => {
  const heard = { workers: 1, missing: 0, complete: true };

  expect(receiptOfConnection("delivered")).toEqual({ delivered: 1, buffered: 0, ...heard });
  expect(receiptOfConnection("buffered")).toEqual({ delivered: 0, buffered: 1, ...heard });
  expect(receiptOfConnection("forwarded")).toEqual({
    delivered: 0,
    buffered: 0,
    workers: 0,
    missing: 1,
    complete: false,
  });
});
