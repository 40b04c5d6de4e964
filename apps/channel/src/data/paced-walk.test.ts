import { describe, expect, it } from "vitest";
import { Pace } from "./pace.ts";
import { PacedWalk } from "./paced-walk.ts";

const nextTick = () => new Promise<void>((resolve) => setImmediate(resolve));

const numbered = (count: number) => Array.from({ length: count }, (_, entry) => entry);

/** Returns a walk that takes half a millisecond of processor time for each entry, and the entries that it has visited. */
function slowWalk(pace = new Pace(2)) {
  const visited: number[] = [];
  const walk = new PacedWalk<number>(pace, (entry) => {
    visited.push(entry);
    const end = performance.now() + 0.5;
    while (performance.now() < end);
  });
  return { walk, visited };
}

describe("a paced walk", () => {
  it("visits every entry once, over several ticks", async () => {
    const { walk, visited } = slowWalk();
    let ticks = 1;

    walk.begin(numbered(60));
    for (; visited.length < 60; ticks++) await nextTick();

    expect(visited).toEqual(numbered(60));
    expect(ticks).toBeGreaterThan(3);
  });

  it("skips entries that leave the set before their turn", async () => {
    const entries = new Set(numbered(40));
    const { walk, visited } = slowWalk();

    walk.begin(entries);
    const before = visited.length;
    entries.clear();
    await nextTick();
    await nextTick();

    expect(visited.length).toBe(before);
  });

  it("does not begin again while a walk continues", async () => {
    const entries = new Set(numbered(40));
    const { walk, visited } = slowWalk();

    walk.begin(entries);
    walk.begin(entries);
    while (visited.length < 40) await nextTick();
    await nextTick();
    expect(visited).toHaveLength(40);

    walk.begin(entries);
    while (visited.length < 80) await nextTick();
  });

  it("shares its slice with other walks of the same pace", () => {
    const pace = new Pace(2);
    const [first, second] = [slowWalk(pace), slowWalk(pace)];

    for (const { walk } of [first, second]) walk.begin(numbered(100));

    expect(first.visited.length).toBeLessThan(100);
    expect(second.visited.length).toBeLessThan(10);
  });
});
