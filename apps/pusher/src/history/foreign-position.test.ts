import type { History } from "@fanwire/bus";
import { expect, test, vi } from "vitest";
import { isForeign } from "./foreign-position.ts";

type Description = { readonly epoch: string; readonly lastSequence: number } | "unreadable";

/** A history that describes itself with these in order, and repeats the last one. */
function describedBy(hasCopies: boolean, ...descriptions: Description[]) {
  let asked = 0;
  const state = async () => {
    const description = descriptions[Math.min(asked++, descriptions.length - 1)] ?? "unreadable";
    if (description === "unreadable") return { ok: false as const, reason: "unavailable" as const, detail: "" };
    return { ok: true as const, hasCopies, history: { ...description, firstSequence: 1, maxPerSubject: 10 } };
  };
  return { state } satisfies Pick<History, "state">;
}

const always = () => true;

test("a position of an earlier history is foreign at once, and one that the history holds is not", async () => {
  const history = describedBy(true, { epoch: "e2", lastSequence: 5 });

  expect(await isForeign({ epoch: "e1", sequence: 1 }, history, always)).toBe(true);
  expect(await isForeign({ epoch: "e2", sequence: 5 }, history, always)).toBe(false);
  expect(await isForeign({ epoch: "e2", sequence: 4, copy: "0000000001" }, history, always)).toBe(false);
});

test("without replicas, a history that ends before the position is trusted at once", async () => {
  const history = describedBy(false, { epoch: "e2", lastSequence: 5 });

  expect(await isForeign({ epoch: "e2", sequence: 6 }, history, always)).toBe(true);
  expect(await isForeign({ epoch: "e2", sequence: 5, copy: "0000000001" }, history, always)).toBe(true);
  expect(await isForeign({ epoch: "e3", sequence: 1 }, history, always)).toBe(true);
});

test("repeated descriptions by a former leader do not make a position foreign", async () => {
  const former = { epoch: "e1", lastSequence: 5 };
  const repeated = Array<Description>(5).fill(former);
  const later = describedBy(true, ...repeated, { epoch: "e1", lastSequence: 6 });
  const recreated = describedBy(true, ...repeated, { epoch: "e2", lastSequence: 1 });
  const away = describedBy(true, ...repeated, "unreadable");

  expect(await isForeign({ epoch: "e1", sequence: 6 }, later, always)).toBe(false);
  expect(await isForeign({ epoch: "e2", sequence: 1 }, recreated, always)).toBe(false);
  expect(await isForeign({ epoch: "e1", sequence: 6 }, away, always)).toBe(false);
  expect(await isForeign({ epoch: "e1", sequence: 6 }, describedBy(true, former), () => false)).toBe(false);
});

test("a description that persists is trusted", async () => {
  vi.useFakeTimers({ toFake: ["performance"] });
  const history = describedBy(true, { epoch: "e1", lastSequence: 5 });

  const foreign = isForeign({ epoch: "e1", sequence: 6 }, history, () => {
    vi.advanceTimersByTime(1_000);
    return true;
  });

  expect(await foreign).toBe(true);
  vi.useRealTimers();
});
