import { parsePosition } from "@fanwire/protocol";
import { expect } from "vitest";
import type { FanwireMessage } from "./fanwire-client.ts";

/** Checks that each subscription received every publication once. */
export function expectNoRepeats(publications: readonly FanwireMessage[]): void {
  const copies = publications.map(({ subscription, topic, data }) => `${subscription ?? topic} ${data}`);
  expect(new Set(copies).size, "a publication was repeated").toBe(copies.length);
}

/** Checks that each subscription received its publications in order. */
export function expectOrder(publications: readonly FanwireMessage[]): void {
  const last = new Map<unknown, number>();
  for (const { subscription, topic, data } of publications) {
    const key = subscription ?? topic;
    if (key !== undefined) expect(Number(data)).toBeGreaterThan(last.get(key) ?? -1);
    last.set(key, Number(data));
  }
}

/** Checks that the positions of a client never decrease. */
export function expectPositions(publications: readonly FanwireMessage[]): void {
  const sequences = publications.flatMap(({ position }) => parsePosition(String(position)) ?? []);
  for (const [at, { epoch, sequence, copy = "9999999999" }] of sequences.entries()) {
    const before = sequences[at - 1];
    if (before?.epoch !== epoch) continue;
    const grows = before.sequence < sequence || (before.sequence === sequence && (before.copy ?? "") <= copy);
    expect(grows, `position ${at} falls`).toBe(true);
  }
}
