import type { HttpRequest } from "uWebSockets.js";
import type { TokenResult } from "@fanwire/tokens";
import { OPEN_GRANT } from "@fanwire/tokens";
import { expect, test } from "vitest";
import { newCounters } from "../connections/counters.ts";
import type { Hub } from "../hub/hub.ts";
import { TimeSlices } from "../pacing/time-slices.ts";
import { Handshakes, type Undecided } from "./handshake.ts";

/** The parts of a request that a handshake reads. */
const requestWith = (query: string) => ({ getHeader: () => "", getQuery: () => query }) as unknown as HttpRequest;
/** Slices of ticks in which nothing else happens. */
const freeSlices = { mayWorkNow: () => true, turn: async () => {} };

const sentWith = (query: string) => ({ query, authorization: "", offered: [], takesPresence: false });

test("a connection whose token is being verified counts against the connection limit", async () => {
  const checks: (() => void)[] = [];
  const verify = () =>
    new Promise<{ readonly ok: true; readonly grant: typeof OPEN_GRANT }>((resolve) =>
      checks.push(() => resolve({ ok: true, grant: OPEN_GRANT })),
    );
  const counters = newCounters();
  const handshakes = new Handshakes({
    hub: { admit: () => undefined, openConnections: 1, isDraining: false } as unknown as Hub,
    verifier: { isOpen: false, anonymous: OPEN_GRANT, verify },
    maxTopics: 1,
    maxConnections: 3,
    counters,
    slices: freeSlices,
  });
  const receive = () => handshakes.receive(requestWith("token=a.b.c"));
  const waiting = [1, 2].map(() => handshakes.decide(receive() as Undecided));

  const refused = receive();

  expect(refused).toMatchObject({ outcome: "turned-away", reason: "connection-limit" });
  expect(counters.refused["connection-limit"]).toBe(1);
  for (const check of checks) check();
  expect(await Promise.all(waiting)).toMatchObject([{ outcome: "admitted" }, { outcome: "admitted" }]);
  expect(receive()).toMatchObject({ outcome: "undecided" });
});

test("queries and tokens that wait are bounded in bytes", async () => {
  const checks: (() => void)[] = [];
  const verify = () =>
    new Promise<{ readonly ok: true; readonly grant: typeof OPEN_GRANT }>((resolve) =>
      checks.push(() => resolve({ ok: true, grant: OPEN_GRANT })),
    );
  const handshakes = new Handshakes({
    hub: { admit: () => undefined, openConnections: 0, isDraining: false } as unknown as Hub,
    verifier: { isOpen: false, anonymous: OPEN_GRANT, verify },
    maxTopics: 1,
    maxConnections: 10_000,
    counters: newCounters(),
    slices: freeSlices,
  });
  const large = requestWith(`token=${"x".repeat(1_048_576)}`);
  const waiting: Promise<unknown>[] = [];

  for (let count = 0; count < 32; count++) waiting.push(handshakes.decide(handshakes.receive(large) as Undecided));
  expect(handshakes.receive(large)).toMatchObject({ outcome: "turned-away", reason: "connection-limit" });

  for (const check of checks) check();
  await Promise.all(waiting);
  expect(handshakes.receive(large)).toMatchObject({ outcome: "undecided" });
});

test("a token that needs no wait is decided in the same tick", () => {
  const counters = newCounters();
  const results: Record<string, TokenResult> = {
    good: { ok: true, grant: { ...OPEN_GRANT, user: "7" } },
    expired: { ok: false, reason: "expired" },
  };
  const handshakes = new Handshakes({
    hub: { admit: () => undefined, openConnections: 0, isDraining: false } as unknown as Hub,
    verifier: {
      isOpen: false,
      anonymous: OPEN_GRANT,
      verify: (token) => results[token] ?? { ok: false, reason: "malformed" },
    },
    maxTopics: 1,
    maxConnections: 1,
    counters,
    slices: freeSlices,
  });

  expect(handshakes.receive(requestWith("token=good"))).toMatchObject({ outcome: "admitted", grant: { user: "7" } });
  expect(handshakes.receive(requestWith("token=expired"))).toMatchObject({ outcome: "refused", reason: "token" });
  expect(counters.refused.token).toBe(1);
});

test("handshakes after the slice of the tick are decided later in order, and count against the connection limit", async () => {
  const counters = newCounters();
  const slices = new TimeSlices();
  const hub = { admit: () => undefined, openConnections: 0, isDraining: false };
  const handshakes = new Handshakes({
    hub: hub as unknown as Hub,
    verifier: { isOpen: true, anonymous: OPEN_GRANT, verify: () => ({ ok: false, reason: "malformed" }) },
    maxTopics: 1,
    maxConnections: 3,
    counters,
    slices,
  });
  const receive = (query: string) => handshakes.receive(requestWith(query));
  expect(receive("topic=first")).toMatchObject({ outcome: "admitted" });
  const sliceEnds = performance.now() + 20;
  while (performance.now() < sliceEnds);

  const order: string[] = [];
  const decisions = ["topic=a", "topics=b", "topic=c"].map(async (query) => {
    const decided = await handshakes.decide(receive(query) as Undecided);
    order.push(query);
    return decided;
  });

  expect(order).toEqual([]);
  expect(receive("topic=d")).toMatchObject({ outcome: "turned-away", reason: "connection-limit" });
  expect(await Promise.all(decisions)).toMatchObject([
    { outcome: "admitted", query: { topics: ["a"] } },
    { outcome: "refused", reason: "malformed" },
    { outcome: "admitted", query: { topics: ["c"] } },
  ]);
  expect(order).toEqual(["topic=a", "topics=b", "topic=c"]);

  const whileWaiting = handshakes.decide({ outcome: "undecided", deciding: undefined, sent: sentWith("topic=e") });
  hub.isDraining = true;
  expect(await whileWaiting).toMatchObject({ outcome: "refused", reason: "draining" });
});
