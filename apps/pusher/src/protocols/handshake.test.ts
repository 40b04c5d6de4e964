import type { HttpRequest } from "uWebSockets.js";
import { OPEN_GRANT, type TokenResult, type TokenVerifier } from "@fanwire/tokens";
import { expect, test } from "vitest";
import { newCounters } from "../connections/counters.ts";
import type { Hub } from "../hub/hub.ts";
import { TimeSlices } from "../pacing/time-slices.ts";
import { Handshakes, type Undecided } from "./handshake.ts";

/** Handshakes of a worker that admits everyone, in ticks in which nothing else happens. */
function openHandshakes(
  verifier: Pick<TokenVerifier, "verify"> & { readonly isOpen?: boolean },
  options: Partial<ConstructorParameters<typeof Handshakes>[0]> = {},
) {
  const hub = { admit: () => undefined, openConnections: 0, isDraining: false };
  const counters = newCounters();
  const handshakes = new Handshakes({
    hub: hub as unknown as Hub,
    verifier: { isOpen: false, anonymous: OPEN_GRANT, ...verifier },
    maxTopics: 1,
    maxConnections: 3,
    counters,
    slices: { mayWorkNow: () => true, turn: async () => {} },
    ...options,
  });
  /** Receives a request with the parts that a handshake reads. */
  const receive = (query: string) =>
    handshakes.receive({ getHeader: () => "", getQuery: () => query } as unknown as HttpRequest);
  const decide = (query: string) => handshakes.decide(receive(query) as Undecided);
  return { hub, counters, handshakes, receive, decide };
}

/** Accepts all tokens when the test calls `accept`. */
function slowVerifier() {
  let accept = () => {};
  const result = new Promise<TokenResult>((resolve) => {
    accept = () => resolve({ ok: true, grant: OPEN_GRANT });
  });
  return { verify: () => result, accept };
}

test("a connection whose token is being verified counts against the connection limit", async () => {
  const { verify, accept } = slowVerifier();
  const { hub, counters, receive, decide } = openHandshakes({ verify });
  hub.openConnections = 1;
  const waiting = [1, 2].map(() => decide("token=a.b.c"));

  const refused = receive("token=a.b.c");

  expect(refused).toMatchObject({ outcome: "turned-away", reason: "connection-limit" });
  expect(counters.refused["connection-limit"]).toBe(1);
  accept();
  expect(await Promise.all(waiting)).toMatchObject([{ outcome: "admitted" }, { outcome: "admitted" }]);
  expect(receive("token=a.b.c")).toMatchObject({ outcome: "undecided" });
});

test("queries and tokens that wait are bounded in bytes", async () => {
  const { verify, accept } = slowVerifier();
  const { receive, decide } = openHandshakes({ verify }, { maxConnections: 10_000 });
  const large = `token=${"x".repeat(1_048_576)}`;

  const waiting = Array.from({ length: 32 }, () => decide(large));
  expect(receive(large)).toMatchObject({ outcome: "turned-away", reason: "connection-limit" });

  accept();
  await Promise.all(waiting);
  expect(receive(large)).toMatchObject({ outcome: "undecided" });
});

test("a token that needs no wait is decided in the same tick", () => {
  const results: Record<string, TokenResult> = {
    good: { ok: true, grant: { ...OPEN_GRANT, user: "7" } },
    expired: { ok: false, reason: "expired" },
  };
  const verify = (token: string) => results[token] ?? ({ ok: false, reason: "malformed" } as const);
  const { counters, receive } = openHandshakes({ verify });

  expect(receive("token=good")).toMatchObject({ outcome: "admitted", grant: { user: "7" } });
  expect(receive("token=expired")).toMatchObject({ outcome: "refused", reason: "token" });
  expect(counters.refused.token).toBe(1);
});

test("handshakes after the slice of the tick are decided later in order, and count against the connection limit", async () => {
  const verify = () => ({ ok: false, reason: "malformed" }) as const;
  const slices = new TimeSlices();
  const { hub, handshakes, receive, decide } = openHandshakes({ isOpen: true, verify }, { slices });
  expect(receive("topic=first")).toMatchObject({ outcome: "admitted" });
  const sliceEnds = performance.now() + 20;
  while (performance.now() < sliceEnds);

  const order: string[] = [];
  const decisions = ["topic=a", "topics=b", "topic=c"].map(async (query) => {
    const decided = await decide(query);
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

  const sent = { query: "topic=e", authorization: "", offered: [], takesPresence: false };
  const whileWaiting = handshakes.decide({ outcome: "undecided", deciding: undefined, sent });
  hub.isDraining = true;
  expect(await whileWaiting).toMatchObject({ outcome: "refused", reason: "draining" });
});
