import { createLog } from "@fanwire/service";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Endpoint } from "./endpoint.ts";
import { EndpointSender } from "./endpoint-sender.ts";
import type { PostOutcome } from "./post.ts";

const endpoint: Endpoint = {
  label: "endpoint-1",
  id: "x",
  url: new URL("http://127.0.0.1/"),
  batch: 10,
  select: (event) => JSON.stringify(event.id),
  encode: (entries) => ({ headers: {}, body: entries.join(",") }),
};
const event = (id: string, topic: string) =>
  ({ id, topic, name: "topic_occupied", time: "2026-01-01T00:00:00.000Z" }) as const;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function startSender(answer: (body: string) => PostOutcome | Promise<PostOutcome>) {
  const posted: string[] = [];
  const dead: string[] = [];
  const counts = { delivered: 0, failed: 0, dead: 0 };
  const post = async ({ body }: { readonly body: string }) => {
    posted.push(body);
    return answer(body);
  };
  const state = { isLeading: true, hasStopped: false };
  const sender = new EndpointSender(0, {
    endpoint,
    counts,
    poster: { post, stop: () => (state.hasStopped = true) },
    log: createLog("test", "silent"),
    isLeading: () => state.isLeading,
    onDead: (_endpoint, { entry }) => dead.push(entry),
    onRoom: () => {},
  });
  return { sender, posted, dead, counts, state };
}

const refuseBad = (body: string): PostOutcome =>
  body.includes("bad") ? { ok: false, reason: "status 500" } : { ok: true };

test("an event that is refused for five minutes is given up, and others are delivered meanwhile", async () => {
  const { sender, dead, counts } = startSender(refuseBad);
  sender.accept(1, event("bad", "a"));
  sender.accept(2, event("good", "b"));
  await vi.advanceTimersByTimeAsync(2_000);
  expect(counts.delivered).toBe(1);
  expect(sender.takeProgress()).toEqual({ cursor: 2, waiting: [1] });

  await vi.advanceTimersByTimeAsync(290_000);
  expect(dead).toEqual([]);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(dead).toEqual(['"bad"']);
  expect(counts).toMatchObject({ delivered: 1, dead: 1 });
  expect(sender.takeProgress()).toEqual({ cursor: 2, waiting: [] });
  expect(sender.takeProgress()).toBeUndefined();
  await sender.stop();
});

test("a sender that leads no longer posts nothing", async () => {
  const { sender, posted, state } = startSender(refuseBad);
  sender.accept(1, event("bad", "bad"));
  await vi.advanceTimersByTimeAsync(500);
  state.isLeading = false;
  sender.accept(2, event("a", "a"));
  await vi.advanceTimersByTimeAsync(5_000);
  expect(posted).toEqual(['"bad"']);

  state.isLeading = true;
  await vi.advanceTimersByTimeAsync(1_000);
  expect(posted.sort()).toEqual(['"a"', '"bad"', '"bad"']);
  await sender.stop();
});

test("a stop waits for the posts in flight, and begins no other", async () => {
  let answer = (_outcome: PostOutcome) => {};
  const { sender, posted, state } = startSender(() => new Promise<PostOutcome>((resolve) => (answer = resolve)));
  sender.accept(1, event("a", "a"));
  await vi.advanceTimersByTimeAsync(1);
  let hasStopped = false;
  const stopped = sender.stop().then(() => {
    hasStopped = true;
  });
  sender.accept(2, event("b", "b"));
  await vi.advanceTimersByTimeAsync(1_000);
  expect([hasStopped, state.hasStopped, posted]).toEqual([false, false, ['"a"']]);

  answer({ ok: true });
  await vi.advanceTimersByTimeAsync(1);
  await stopped;
  expect([sender.waiting, state.hasStopped, posted]).toEqual([1, true, ['"a"']]);
});

test("an endpoint that refuses everything has no room at 10,000 events", async () => {
  const { sender } = startSender(() => ({ ok: false, reason: "status 503" }));
  for (let at = 1; at <= 10_000; at++) {
    expect(sender.hasRoom).toBe(true);
    sender.accept(at, event(String(at), `t${at % 500}`));
  }
  expect(sender.hasRoom).toBe(false);
  await sender.stop();
});
