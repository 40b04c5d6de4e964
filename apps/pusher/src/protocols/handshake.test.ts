import type { HttpRequest } from "uWebSockets.js";
import { expect, test } from "vitest";
import { OPEN_GRANT } from "../auth/grant.ts";
import type { TokenResult } from "../auth/token-verifier.ts";
import { newCounters } from "../connections/counters.ts";
import type { Hub } from "../hub/hub.ts";
import { Handshakes, type Unverified } from "./handshake.ts";

/** The parts of a request that a handshake reads. */
const requestWith = (query: string) => ({ getHeader: () => "", getQuery: () => query }) as unknown as HttpRequest;

test("a connection whose token is being verified counts against the connection limit", async () => {
  const checks: (() => void)[] = [];
  const verify = () =>
    new Promise<{ readonly ok: true; readonly grant: typeof OPEN_GRANT }>((resolve) =>
      checks.push(() => resolve({ ok: true, grant: OPEN_GRANT })),
    );
  const counters = newCounters();
  const handshakes = new Handshakes({
    hub: { refusal: () => undefined, openConnections: 1, isDraining: false } as unknown as Hub,
    verifier: { isOpen: false, anonymous: OPEN_GRANT, verify },
    maxTopics: 1,
    maxConnections: 3,
    counters,
  });
  const receive = () => handshakes.receive(requestWith("token=a.b.c"));
  const waiting = [1, 2].map(() => handshakes.verify(receive() as Unverified));

  const refused = receive();

  expect(refused).toMatchObject({ outcome: "turned-away", reason: "connection-limit" });
  expect(counters.refused["connection-limit"]).toBe(1);
  for (const check of checks) check();
  expect(await Promise.all(waiting)).toMatchObject([{ outcome: "admitted" }, { outcome: "admitted" }]);
  expect(receive()).toMatchObject({ outcome: "unverified" });
});

test("a token that needs no wait is decided in the same tick", () => {
  const counters = newCounters();
  const results: Record<string, TokenResult> = {
    good: { ok: true, grant: { ...OPEN_GRANT, user: "7" } },
    expired: { ok: false, reason: "expired" },
  };
  const handshakes = new Handshakes({
    hub: { refusal: () => undefined, openConnections: 0, isDraining: false } as unknown as Hub,
    verifier: {
      isOpen: false,
      anonymous: OPEN_GRANT,
      verify: (token) => results[token] ?? { ok: false, reason: "malformed" },
    },
    maxTopics: 1,
    maxConnections: 1,
    counters,
  });

  expect(handshakes.receive(requestWith("token=good"))).toMatchObject({ outcome: "admitted", grant: { user: "7" } });
  expect(handshakes.receive(requestWith("token=expired"))).toMatchObject({ outcome: "refused", reason: "token" });
  expect(counters.refused.token).toBe(1);
});
