import { setImmediate as nextTick } from "node:timers/promises";
import { expect, test } from "vitest";
import { RequestPace } from "./request-pace.ts";

type Response = Parameters<RequestPace["answer"]>[0];

/** Slices of time that begin when the test calls `begin`. */
function heldSlices() {
  const waiting: (() => void)[] = [];
  const turn = () => new Promise<void>((resolve) => void waiting.push(resolve));
  const begin = async () => {
    for (const resolve of waiting.splice(0)) resolve();
    await nextTick();
  };
  return { turn, begin };
}

/** Stands for a response of uWebSockets.js, because thousands of real requests cannot be read in one tick of a test. */
function response() {
  let onAborted = () => {};
  const fake = {
    onAborted: (handler: () => void) => {
      onAborted = handler;
    },
    cork: (write: () => void) => write(),
  };
  return { response: fake as unknown as Response, abort: () => onAborted() };
}

test("400 requests of a tick are answered at once, and the others in later ticks, unless they are aborted", async () => {
  const slices = heldSlices();
  const pace = new RequestPace(slices);
  const answered: number[] = [];
  const requests = Array.from({ length: 403 }, () => response());

  for (const [at, request] of requests.entries()) pace.answer(request.response, 0, () => answered.push(at));
  expect(answered).toHaveLength(400);
  requests[401]?.abort();
  await slices.begin();
  expect(answered.slice(400)).toEqual([400, 402]);

  pace.answer(response().response, 0, () => answered.push(403));
  expect(answered.at(-1)).toBe(403);
});

test("requests that wait are bounded in bytes: further ones are answered at once", async () => {
  const slices = heldSlices();
  const pace = new RequestPace(slices);
  let answered = 0;
  const read = (textBytes: number) => pace.answer(response().response, textBytes, () => void answered++);
  for (let count = 0; count < 400; count++) read(0);

  for (let count = 0; count < 2_000; count++) read(16_000);

  const waiting = 2_400 - answered;
  expect(waiting).toBe(Math.floor(16_777_216 / 17_000));
  await slices.begin();
  expect(answered).toBe(2_400);
});
