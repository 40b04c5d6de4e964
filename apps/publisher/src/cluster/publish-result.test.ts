import { expect, test } from "vitest";
import {
  failureOfAll,
  fromDelivery,
  type PublishResult,
  receiptOfConnection,
  resultOfAll,
  storedPositions,
} from "./publish-result.ts";

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

test("workers wait for all stored publications: an attempt without an answer may have stored a duplicate", () => {
  expect(storedPositions([stored(7), stored(8, true)])).toEqual(["e-7", "e-8"]);
  expect(storedPositions([published])).toEqual([]);
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
