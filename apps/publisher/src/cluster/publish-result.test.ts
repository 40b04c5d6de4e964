import { Subjects } from "@fanwire/protocol";
import { expect, test } from "vitest";
import {
  failureOfAll,
  fromDelivery,
  type PublishResult,
  receiptOfConnection,
  resultOfAll,
  storedNow,
} from "./publish-result.ts";

const subjects = new Subjects();
const content = new Uint8Array([0xff, 0x00]);
const published: PublishResult = { ok: true, status: "published" };
const unconfirmed: PublishResult = { ok: false, reason: "unconfirmed" };

test("a worker's report is the result, and a closed connection is not found", () => {
  expect(fromDelivery("delivered")).toEqual({ ok: true, status: "delivered" });
  expect(fromDelivery("buffered")).toEqual({ ok: true, status: "buffered" });
  expect(fromDelivery("no-connection")).toEqual({ ok: false, reason: "connection-not-found" });
});

test("a batch fails as a whole only if NATS failed for all of it", () => {
  const unavailable: PublishResult = { ok: false, reason: "unavailable" };
  const notFound: PublishResult = { ok: false, reason: "connection-not-found" };

  expect(failureOfAll([published, unavailable])).toBeUndefined();
  expect(failureOfAll([notFound, notFound])).toBeUndefined();
  expect(failureOfAll([notFound, unavailable])).toBeUndefined();
  expect(failureOfAll([unavailable, unavailable])).toEqual(unavailable);
  expect(failureOfAll([unavailable, unconfirmed])).toEqual(unconfirmed);
});

const stored = (sequence: number, isDuplicate = false): PublishResult => ({
  ok: true,
  status: "stored",
  positions: [{ epoch: "e", sequence }],
  isDuplicate,
});

test("the result of a request to several topics combines those of all publications", () => {
  expect(resultOfAll([published, published])).toEqual(published);
  expect(resultOfAll([stored(1), stored(2, true)])).toEqual({
    ok: true,
    status: "stored",
    positions: [1, 2].map((sequence) => ({ epoch: "e", sequence })),
    isDuplicate: false,
  });
  expect(resultOfAll([stored(1, true), stored(2, true)])).toMatchObject({ isDuplicate: true });
});

test("a request that was carried out in part is unconfirmed", () => {
  const unusable: PublishResult = { ok: false, reason: "unusable", detail: "no leader" };

  expect(resultOfAll([unusable, unusable])).toEqual(unusable);
  expect(resultOfAll([unusable, unconfirmed])).toEqual(unconfirmed);
  expect(resultOfAll([stored(1), unusable])).toEqual({ ...unusable, reason: "unconfirmed" });
});

test("workers wait only for publications that this request stored", () => {
  const publications = ["a", "b"].map((topic) => ({ target: { kind: "topic", topic } as const, content }));

  expect(storedNow(subjects, publications, [stored(7), stored(3, true)])).toEqual([
    { subject: "fanwire.history.topic.a", position: "e-7" },
  ]);
  expect(storedNow(subjects, publications, [published])).toEqual([]);
});

test("the receipt of one connection is its worker's report, and incomplete for a Workerman worker", () => {
  const counted = { workers: 1, missing: 0, complete: true };

  expect(receiptOfConnection("delivered")).toEqual({ delivered: 1, buffered: 0, ...counted });
  expect(receiptOfConnection("buffered")).toEqual({ delivered: 0, buffered: 1, ...counted });
  expect(receiptOfConnection("forwarded")).toEqual({
    delivered: 0,
    buffered: 0,
    workers: 0,
    missing: 1,
    complete: false,
  });
});
