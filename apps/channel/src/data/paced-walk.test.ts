import { describe, expect, it } from "vitest";
import { Pace } from "./pace.ts";
import { PacedWalk } from "./paced-walk.ts";

const nextTick = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Takes `ms` of processor time. */
function work(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

describe("a paced walk", () => {
  it("visits every entry once, over several ticks", async () => {
    const visits = new Map<number, number>();
    let ticks = 1;
    const walk = new PacedWalk<number>(new Pace(2), (entry) => {
      visits.set(entry, (visits.get(entry) ?? 0) + 1);
      work(0.5);
    });

    walk.begin(Array.from({ length: 60 }, (_, entry) => entry));
    for (; visits.size < 60; ticks++) await nextTick();

    expect(new Set(visits.values())).toEqual(new Set([1]));
    expect(ticks).toBeGreaterThan(3);
  });

  it("skips entries that leave the set before their turn", async () => {
    const entries = new Set(Array.from({ length: 40 }, (_, entry) => entry));
    const visited: number[] = [];
    const walk = new PacedWalk<number>(new Pace(2), (entry) => {
      visited.push(entry);
      work(0.5);
    });

    walk.begin(entries);
    const before = visited.length;
    entries.clear();
    await nextTick();
    await nextTick();

    expect(visited.length).toBe(before);
  });

  it("does not begin again while a walk continues", async () => {
    const entries = new Set(Array.from({ length: 40 }, (_, entry) => entry));
    let visits = 0;
    const walk = new PacedWalk<number>(new Pace(2), () => {
      visits++;
      work(0.5);
    });

    walk.begin(entries);
    walk.begin(entries);
    while (visits < 40) await nextTick();
    await nextTick();
    expect(visits).toBe(40);

    walk.begin(entries);
    while (visits < 80) await nextTick();
  });

  it("shares its slice with other walks of the same pace", () => {
    const pace = new Pace(2);
    const visits = [0, 0];
    const walks = [0, 1].map(
      (index) =>
        new PacedWalk<number>(pace, () => {
          visits[index] = (visits[index] ?? 0) + 1;
          work(0.5);
        }),
    );
    const entries = Array.from({ length: 100 }, (_, entry) => entry);

    for (const walk of walks) walk.begin(entries);

    expect(visits[0]).toBeLessThan(100);
    expect(visits[1]).toBeLessThan(10);
  });
});
