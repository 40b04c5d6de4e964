import { expect, test } from "vitest";
import { Gate } from "./admission.ts";

function gateAt(clock: { ms: number }, options: { maxConnections?: number; handshakesPerSecond?: number } = {}): Gate {
  return new Gate({
    maxConnections: options.maxConnections ?? 10,
    handshakesPerSecond: options.handshakesPerSecond ?? 0,
    origins: ["https://app.example"],
    now: () => clock.ms,
  });
}

test("a full worker refuses until a connection closes", () => {
  const gate = gateAt({ ms: 0 }, { maxConnections: 2 });

  expect(gate.admit("", 1)).toEqual({ ok: true });
  expect(gate.admit("", 2)).toEqual({ ok: false, reason: "connection-limit" });
});

test("a page of another origin is refused, also by a full worker", () => {
  const gate = gateAt({ ms: 0 }, { maxConnections: 1 });

  expect(gate.admit("https://evil.example", 1)).toEqual({ ok: false, reason: "origin" });
  expect(gate.admit("https://app.example", 0)).toEqual({ ok: true });
});

test("a draining worker refuses every handshake", () => {
  const gate = gateAt({ ms: 0 });
  gate.drain();

  expect(gate.admit("", 0)).toEqual({ ok: false, reason: "draining" });
});

test("handshakes above the rate limit are refused until tokens refill", () => {
  const clock = { ms: 0 };
  const gate = gateAt(clock, { handshakesPerSecond: 10 });
  const admitted = () => Array.from({ length: 20 }, () => gate.admit("", 0)).filter(({ ok }) => ok).length;

  expect(admitted()).toBe(10);
  clock.ms += 500;
  expect(admitted()).toBe(5);
  clock.ms += 60_000;
  expect(admitted()).toBe(10);
});

test("refusals for other reasons do not count against the handshake rate", () => {
  const gate = gateAt({ ms: 0 }, { handshakesPerSecond: 1 });

  gate.admit("https://evil.example", 0);

  expect(gate.admit("", 0)).toEqual({ ok: true });
});
