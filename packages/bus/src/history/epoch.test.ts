import { expect, test } from "vitest";
import { epochFrom, isEarlierEpoch, isSameCreation, markedDescription } from "./epoch.ts";

const CREATED = "2026-11-23T18:44:41.933029801Z";

test("an epoch is the nanosecond of creation", () => {
  expect(Number.parseInt(epochFrom("1970-01-01T00:00:00.000000035Z"), 36)).toBe(35);
  expect(epochFrom("1970-01-01T00:00:01Z")).toBe((1_000_000_000).toString(36));
  expect(epochFrom("2026-11-23T18:44:41.9330298Z")).toBe(epochFrom("2026-11-23T18:44:41.933029800Z"));
  expect(epochFrom("2026-11-23T18:44:41.9330298Z")).not.toBe(epochFrom("2026-11-23T18:44:41.9330299Z"));
  expect(epochFrom(CREATED)).toMatch(/^[a-z0-9]{12,13}$/);
});

test("each mark in a description makes a later epoch of the same creation, also when the clock was set back", () => {
  const now = Date.parse("2026-11-24T00:00:00Z");
  const descriptions = [markedDescription("", now)];
  for (const at of [now, now - 1_000, now + 1_000]) descriptions.push(markedDescription(descriptions.at(-1) ?? "", at));
  const epochs = ["", ...descriptions].map((description) => epochFrom(CREATED, description));

  for (const [at, epoch] of epochs.entries()) {
    expect(epoch).toMatch(/^[a-z0-9]{12,32}$/);
    expect(isSameCreation(epoch, epochFrom(CREATED))).toBe(true);
    if (at > 0) expect(isEarlierEpoch(epochs[at - 1] ?? "", epoch)).toBe(true);
  }
  expect(isEarlierEpoch(epochs.at(-1) ?? "", epochFrom("2026-11-23T18:44:41.933029802Z"))).toBe(true);
});

test("the rest of a description is kept", () => {
  const once = markedDescription("Ours (since May)", 1_000);
  expect(once).toMatch(/^Ours \(since May\) \(epoch mark [a-z0-9]{8}\)$/);
  expect(markedDescription(once, 2_000)).toMatch(/^Ours \(since May\) \(epoch mark [a-z0-9]{8}\)$/);
  expect(epochFrom(CREATED, "Ours (since May)")).toBe(epochFrom(CREATED));
});
