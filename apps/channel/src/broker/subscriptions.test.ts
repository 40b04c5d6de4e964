import { spawnSync } from "node:child_process";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Subscriptions } from "./subscriptions.ts";

const hasPhp = spawnSync("php", ["-v"]).status === 0;

/** Returns who has each turn (`.`) while subscribers come (`+A`) and leave (`-A`). */
function turnsOf(steps: readonly string[]): string[] {
  const subscriptions = new Subscriptions<string>();
  return steps.flatMap((step) => {
    const peer = step.slice(1);
    if (step === ".") return [subscriptions.nextInTurn("c") ?? "none"];
    if (step.startsWith("+")) subscriptions.subscribe(peer, "c");
    else subscriptions.unsubscribe(peer, "c");
    return [];
  });
}

describe("subscriptions", () => {
  it("may end while their channel is visited", () => {
    const subscriptions = new Subscriptions<string>();
    for (const peer of ["A", "B", "C", "D", "E"]) subscriptions.subscribe(peer, "c");
    const visited: string[] = [];

    subscriptions.forEach("c", (peer) => {
      visited.push(peer);
      if (peer === "B") for (const other of ["A", "B", "C", "D"]) subscriptions.disconnect(other);
    });

    expect(visited).toEqual(["A", "B", "E"]);
  });

  it("of one peer end in time proportional to their number", () => {
    const subscriptions = new Subscriptions<number>();
    for (let peer = 0; peer < 10_000; peer++) subscriptions.subscribe(peer, "crowded");
    for (let channel = 0; channel < 100_000; channel++) subscriptions.subscribe(-1, `own ${channel}`);
    const before = process.cpuUsage();

    for (let peer = 0; peer < 10_000; peer++) subscriptions.unsubscribe(peer, "crowded");
    const emptied = subscriptions.disconnect(-1);

    expect([emptied.length, subscriptions.channelCount]).toEqual([100_000, 0]);
    expect(process.cpuUsage(before).user).toBeLessThan(2_000_000);
  });
});

describe("the turn in a channel", () => {
  it.each([
    ["starts with the second of new subscribers", "+A +B +C . . . . . . .", "B C A B C A B"],
    ["stays with the only subscriber", "+A . . .", "A A A"],
    ["is nobody's in an empty channel", ".", "none"],
    ["skips the successor of a subscriber that left after its turn", "+A +B +C +D . -B . . .", "B D A C"],
    ["moves to the first after the last subscriber left in its turn", "+A +B +C . . -C . . .", "B C A B A"],
    ["counts as used by the next appended one when the last left in it", "+A +B +C . . -C +X . . . .", "B C A B X A"],
    ["is not moved by a resubscription or by others", "+A +B +C +D . +A -A +A . . . .", "B C D A B"],
    ["restarts when the channel was empty in between", "+A +B +C . . -A -B -C +A +B +C . . .", "B C B C A"],
  ])("%s", (_, steps, turns) => {
    expect(turnsOf(steps.split(" ")).join(" ")).toBe(turns);
  });
});

/** A model of the original's PHP array for one channel, with holes and an internal pointer as in zend_hash. */
class PhpArray {
  #slots: (number | undefined)[] = [];
  #pointer = 0;

  get peers(): number[] {
    return this.#slots.filter((peer) => peer !== undefined);
  }

  set(peer: number): void {
    if (!this.#slots.includes(peer)) this.#slots.push(peer);
  }

  unset(peer: number): void {
    const at = this.#slots.indexOf(peer);
    if (at < 0) return;
    this.#slots[at] = undefined;
    if (this.#pointer === at) this.#pointer = this.#valid(at);
    while (this.#slots.length > 0 && this.#slots.at(-1) === undefined) this.#slots.pop();
    this.#pointer = Math.min(this.#pointer, this.#slots.length);
    if (this.#slots.length === 0) this.#pointer = 0;
  }

  nextOrReset(): number | undefined {
    this.#pointer = this.#valid(this.#valid(this.#pointer) + 1);
    if (this.#pointer >= this.#slots.length) this.#pointer = this.#valid(0);
    return this.#slots[this.#pointer];
  }

  #valid(from: number): number {
    const found = this.#slots.findIndex((peer, at) => at >= from && peer !== undefined);
    return found < 0 ? this.#slots.length : found;
  }
}

describe("compared with a naive model of the original", () => {
  const peer = fc.nat(5);
  const keys = ["a", "bb", "ccc"];
  const key = fc.constantFrom(...keys);
  const step = fc.oneof(
    fc.record({ do: fc.constant("subscribe" as const), peer, key }),
    fc.record({ do: fc.constant("unsubscribe" as const), peer, key }),
    fc.record({ do: fc.constant("disconnect" as const), peer, key }),
    fc.record({ do: fc.constant("loop" as const), peer, key }),
  );

  it("every visit, turn, count and emptied channel is the same", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const subscriptions = new Subscriptions<number>();
        const model = new Map(keys.map((key) => [key, new PhpArray()]));

        for (const { do: what, peer, key } of steps) {
          const array = model.get(key) ?? new PhpArray();
          if (what === "subscribe") {
            expect(subscriptions.subscribe(peer, key)).toBe(array.peers.length === 0);
            array.set(peer);
          } else if (what === "unsubscribe") {
            const isLast = array.peers.length === 1 && array.peers[0] === peer;
            expect(subscriptions.unsubscribe(peer, key)).toBe(isLast);
            array.unset(peer);
          } else if (what === "loop") {
            expect(subscriptions.nextInTurn(key)).toBe(array.nextOrReset());
          } else {
            const own = [...model].filter(([, array]) => array.peers.length === 1 && array.peers[0] === peer);
            expect(subscriptions.disconnect(peer).sort()).toEqual(own.map(([key]) => key));
            for (const each of model.values()) each.unset(peer);
          }
          for (const [key, { peers }] of model) {
            const visited: number[] = [];
            subscriptions.forEach(key, (peer) => visited.push(peer));
            expect(visited).toEqual(peers);
          }
          const own = [...model].flatMap(([key, { peers }]) => (peers.includes(peer) ? [key] : []));
          expect([subscriptions.countOf(peer), subscriptions.nameBytesOf(peer)]).toEqual([
            own.length,
            own.join("").length,
          ]);
        }
        const filled = [...model.values()].filter(({ peers }) => peers.length > 0);
        expect(subscriptions.channelCount).toBe(filled.length);
      }),
    );
  });

  it.skipIf(!hasPhp)("every turn is that of a PHP array", () => {
    const step = fc.oneof(
      { weight: 3, arbitrary: fc.nat(9).map((peer) => `+${peer}`) },
      { weight: 2, arbitrary: fc.nat(9).map((peer) => `-${peer}`) },
      { weight: 3, arbitrary: fc.constant(".") },
    );
    const runs = fc.sample(fc.array(step, { minLength: 1, maxLength: 100 }), 500);
    const script = new URL("../../test-data/turns.php", import.meta.url).pathname;

    const input = `${runs.map((run) => run.join(" ")).join("\n")}\n`;
    const { stdout } = spawnSync("php", ["-n", script], { input, encoding: "latin1" });
    // PHP takes a plain "0" for the end of the array.
    const turns = stdout.replaceAll("p", "");

    expect(runs.map((run) => turnsOf(run).join(" "))).toEqual(turns.split("\n").slice(0, runs.length));
  });
});
