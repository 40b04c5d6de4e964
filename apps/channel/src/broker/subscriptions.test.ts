import { spawnSync } from "node:child_process";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Subscriptions } from "./subscriptions.ts";

const hasPhp = spawnSync("php", ["-v"]).status === 0;

function subscribersOf(subscriptions: Subscriptions<string>, key: string): string[] {
  const peers: string[] = [];
  subscriptions.forEach(key, (peer) => peers.push(peer));
  return peers;
}

function withPeers(...peers: string[]): Subscriptions<string> {
  const subscriptions = new Subscriptions<string>();
  for (const peer of peers) subscriptions.subscribe(peer, "c");
  return subscriptions;
}

function turns(subscriptions: Subscriptions<string>, count: number): string {
  return Array.from({ length: count }, () => subscriptions.nextInTurn("c") ?? "-").join("");
}

describe("subscriptions", () => {
  it("are visited once each in their order, even after repeated subscribes", () => {
    const subscriptions = withPeers("A", "B", "A", "C", "B");

    expect(subscribersOf(subscriptions, "c")).toEqual(["A", "B", "C"]);
    expect(subscribersOf(subscriptions, "other")).toEqual([]);
  });

  it("report the first subscriber of a channel and the removal of its last", () => {
    const subscriptions = new Subscriptions<string>();

    expect([subscriptions.subscribe("A", "c"), subscriptions.subscribe("A", "c")]).toEqual([true, false]);
    expect(subscriptions.subscribe("B", "c")).toBe(false);
    expect([subscriptions.unsubscribe("A", "c"), subscriptions.unsubscribe("A", "c")]).toEqual([false, false]);
    expect(subscriptions.unsubscribe("B", "c")).toBe(true);
    expect([subscriptions.channelCount, subscriptions.countOf("A"), subscriptions.countOf("B")]).toEqual([0, 0, 0]);
  });

  it("end when their peer disconnects, and the emptied channels are returned", () => {
    const subscriptions = new Subscriptions<string>();
    for (const key of ["a", "b", "c"]) subscriptions.subscribe("A", key);
    subscriptions.subscribe("B", "b");

    const emptied = subscriptions.disconnect("A");

    expect(emptied).toEqual(["a", "c"]);
    expect([subscriptions.channelCount, subscriptions.countOf("A"), subscribersOf(subscriptions, "b")]).toEqual([
      1,
      0,
      ["B"],
    ]);
    expect(subscriptions.disconnect("A")).toEqual([]);
  });

  it("count the bytes of the names of one peer", () => {
    const subscriptions = new Subscriptions<string>();

    for (const key of ["a", "long", "a"]) subscriptions.subscribe("A", key);
    subscriptions.subscribe("B", "a");
    expect([subscriptions.nameBytesOf("A"), subscriptions.nameBytesOf("B")]).toEqual([5, 1]);

    for (const key of ["long", "long", "other"]) subscriptions.unsubscribe("A", key);
    subscriptions.disconnect("B");
    expect([subscriptions.nameBytesOf("A"), subscriptions.nameBytesOf("B")]).toEqual([1, 0]);
  });

  it("may end while their channel is visited", () => {
    const subscriptions = withPeers("A", "B", "C", "D", "E");
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
    const started = performance.now();

    for (let peer = 0; peer < 10_000; peer++) subscriptions.unsubscribe(peer, "crowded");
    const emptied = subscriptions.disconnect(-1);

    expect([emptied.length, subscriptions.channelCount]).toEqual([100_000, 0]);
    expect(performance.now() - started).toBeLessThan(2_000);
  });
});

describe("the turn in a channel", () => {
  it("starts with the second of new subscribers", () => {
    expect(turns(withPeers("A", "B", "C"), 7)).toBe("BCABCAB");
    expect(turns(withPeers("A"), 3)).toBe("AAA");
    expect(turns(withPeers(), 1)).toBe("-");
  });

  it("skips the successor of a subscriber that left after its turn", () => {
    const subscriptions = withPeers("A", "B", "C", "D");
    turns(subscriptions, 1);

    subscriptions.unsubscribe("B", "c");

    expect(turns(subscriptions, 3)).toBe("DAC");
  });

  it("moves to the first after the last subscriber left in its turn", () => {
    const subscriptions = withPeers("A", "B", "C");
    turns(subscriptions, 2);

    subscriptions.unsubscribe("C", "c");

    expect(turns(subscriptions, 3)).toBe("ABA");
  });

  it("counts as used by the next appended subscriber when the last one left in its turn", () => {
    const subscriptions = withPeers("A", "B", "C");
    turns(subscriptions, 2);

    subscriptions.unsubscribe("C", "c");
    subscriptions.subscribe("X", "c");

    expect(turns(subscriptions, 4)).toBe("ABXA");
  });

  it("is not moved by a resubscription or by other subscribers", () => {
    const subscriptions = withPeers("A", "B", "C", "D");
    turns(subscriptions, 1);

    subscriptions.subscribe("A", "c");
    subscriptions.unsubscribe("A", "c");
    subscriptions.subscribe("A", "c");

    expect(turns(subscriptions, 4)).toBe("CDAB");
  });

  it("restarts when the channel was empty in between", () => {
    const subscriptions = withPeers("A", "B", "C");
    turns(subscriptions, 2);

    for (const peer of ["A", "B", "C"]) subscriptions.disconnect(peer);
    for (const peer of ["A", "B", "C"]) subscriptions.subscribe(peer, "c");

    expect(turns(subscriptions, 3)).toBe("BCA");
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
  const key = fc.constantFrom("a", "b", "c");
  const step = fc.oneof(
    fc.record({ do: fc.constant("subscribe" as const), peer, key }),
    fc.record({ do: fc.constant("unsubscribe" as const), peer, key }),
    fc.record({ do: fc.constant("disconnect" as const), peer, key }),
    fc.record({ do: fc.constant("loop" as const), peer, key }),
  );

  it("every visit and every turn is the same", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const subscriptions = new Subscriptions<number>();
        const model = new Map(["a", "b", "c"].map((key) => [key, new PhpArray()]));

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

    expect(runs.map((run) => turnsOf(run).join(" "))).toEqual(stdout.split("\n").slice(0, runs.length));
  });
});

function turnsOf(run: readonly string[]): string[] {
  const subscriptions = new Subscriptions<string>();
  return run.flatMap((step) => {
    if (step === ".") return [subscriptions.nextInTurn("c") ?? "none"];
    const peer = `p${step.slice(1)}`;
    if (step.startsWith("+")) subscriptions.subscribe(peer, "c");
    else subscriptions.unsubscribe(peer, "c");
    return [];
  });
}
