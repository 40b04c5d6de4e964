import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LocalQueues } from "./local-queues.ts";

const name = new Uint8Array([1]);
const otherName = new Uint8Array([2]);

describe("the consumers of a queue", () => {
  it("report the first and the last watcher", () => {
    const queues = new LocalQueues<string>();

    expect([queues.watch("A", "q", name), queues.watch("A", "q", name), queues.watch("B", "q", name)]).toEqual([
      true,
      false,
      false,
    ]);
    expect([queues.unwatch("A", "q"), queues.unwatch("A", "q")]).toEqual([false, false]);
    queues.watch("B", "r", name);
    expect(queues.disconnect("B")).toEqual(["q", "r"]);
    expect([queues.queueCount, queues.countOf("B")]).toEqual([0, 0]);
  });

  it("are served in time that does not grow with their number", () => {
    const queues = new LocalQueues<number>();
    for (let peer = 0; peer < 20_000; peer++) {
      queues.watch(peer, "q", name);
      queues.reserve(peer);
    }
    const before = process.cpuUsage();

    for (let round = 0; round < 100_000; round++) queues.reserve(queues.takeNextWaiting("q") ?? -1);

    expect(queues.takeNextWaiting("q")).toBe(0);
    expect(process.cpuUsage(before).user).toBeLessThan(2_000_000);
  });
});

describe("the name of a queue", () => {
  it("is that of its first watcher while it is watched", () => {
    const queues = new LocalQueues<string>();
    queues.watch("A", "q", name);
    queues.watch("B", "q", otherName);
    queues.unwatch("A", "q");

    const whileWatched = queues.nameOf("q");
    queues.unwatch("B", "q");

    expect([whileWatched, queues.nameOf("q"), queues.queueCount]).toEqual([name, undefined, 0]);
  });

  it("is a copy, so that its network chunk is freed", () => {
    const chunk = new Uint8Array(65_536);
    const queues = new LocalQueues<string>();

    queues.watch("A", "q", chunk.subarray(0, 4));

    expect(queues.nameOf("q")?.buffer.byteLength).toBe(4);
  });
});

/** A model of the original's queues and their items with plain arrays. */
class NaiveServer {
  readonly sent: string[] = [];
  readonly #queues = new Map<string, { watchers: number[]; consumers: number[]; items: number[] }>();
  readonly #watched = new Map<number, string[]>();

  watch(peer: number, key: string): void {
    const queue = this.#queueOf(key);
    if (queue.watchers.includes(peer)) return;
    queue.watchers.push(peer);
    this.#watched.set(peer, [...this.watchedBy(peer), key]);
  }

  unwatch(peer: number, key: string): void {
    const queue = this.#queues.get(key);
    if (queue === undefined) return;
    queue.watchers = queue.watchers.filter((other) => other !== peer);
    queue.consumers = queue.consumers.filter((other) => other !== peer);
    const kept = this.watchedBy(peer).filter((other) => other !== key);
    this.#watched.set(peer, kept);
    if (queue.watchers.length === 0 && queue.items.length === 0) this.#queues.delete(key);
  }

  disconnect(peer: number): void {
    for (const key of this.watchedBy(peer)) this.unwatch(peer, key);
  }

  watchedBy(peer: number): string[] {
    return this.#watched.get(peer) ?? [];
  }

  waitingCount(key: string): number {
    return this.#queues.get(key)?.consumers.length ?? 0;
  }

  reserve(peer: number): void {
    for (const key of this.watchedBy(peer)) {
      const queue = this.#queues.get(key);
      if (queue === undefined) continue;
      if (!queue.consumers.includes(peer)) queue.consumers.push(peer);
      this.#dispatch(key);
    }
  }

  enqueue(key: string, item: number): void {
    this.#queueOf(key).items.push(item);
    this.#dispatch(key);
  }

  #queueOf(key: string) {
    const queue = this.#queues.get(key) ?? { watchers: [], consumers: [], items: [] };
    this.#queues.set(key, queue);
    return queue;
  }

  #dispatch(key: string): void {
    const queue = this.#queues.get(key);
    while (queue !== undefined && queue.items.length > 0 && queue.consumers.length > 0) {
      this.sent.push(`${queue.items.shift()} to ${queue.consumers.shift()}`);
    }
  }
}

/** Our queues, with the items in memory instead of a stream. */
class ServerWithStream {
  readonly sent: string[] = [];
  readonly queues = new LocalQueues<number>();
  readonly #items = new Map<string, number[]>();

  watch(peer: number, key: string): void {
    this.queues.watch(peer, key, name);
  }

  unwatch(peer: number, key: string): void {
    this.queues.unwatch(peer, key);
  }

  disconnect(peer: number): void {
    this.queues.disconnect(peer);
  }

  reserve(peer: number): void {
    for (const key of this.queues.reserve(peer)) this.#dispatch(key);
  }

  enqueue(key: string, item: number): void {
    this.#items.set(key, [...(this.#items.get(key) ?? []), item]);
    this.#dispatch(key);
  }

  #dispatch(key: string): void {
    const items = this.#items.get(key) ?? [];
    while (items.length > 0) {
      const peer = this.queues.takeNextWaiting(key);
      if (peer === undefined) return;
      this.sent.push(`${items.shift()} to ${peer}`);
    }
  }
}

describe("compared with a naive model of the original", () => {
  it("every item goes to the same peer, and the same peers watch and wait", () => {
    const peers = [0, 1, 2, 3, 4];
    const peer = fc.constantFrom(...peers);
    const keys = ["a", "bb", "ccc"];
    const key = fc.constantFrom(...keys);
    const step = fc.oneof(
      fc.record({ do: fc.constant("watch" as const), peer, key }),
      fc.record({ do: fc.constant("unwatch" as const), peer, key }),
      fc.record({ do: fc.constant("disconnect" as const), peer, key }),
      fc.record({ do: fc.constant("reserve" as const), peer, key }),
      fc.record({ do: fc.constant("enqueue" as const), peer, key }),
    );

    fc.assert(
      fc.property(fc.array(step, { maxLength: 150 }), (steps) => {
        const original = new NaiveServer();
        const ours = new ServerWithStream();

        for (const [index, { do: what, peer, key }] of steps.entries()) {
          for (const server of [original, ours]) {
            if (what === "watch") server.watch(peer, key);
            else if (what === "unwatch") server.unwatch(peer, key);
            else if (what === "disconnect") server.disconnect(peer);
            else if (what === "reserve") server.reserve(peer);
            else server.enqueue(key, index);
          }
        }

        const { sent, queues } = ours;
        expect(sent).toEqual(original.sent);
        for (const each of keys) expect(queues.waitingCount(each)).toBe(original.waitingCount(each));
        for (const peer of peers) {
          const watched = original.watchedBy(peer);
          expect(queues.keysOf(peer)).toEqual(watched);
          expect([queues.countOf(peer), queues.nameBytesOf(peer)]).toEqual([watched.length, watched.join("").length]);
        }
      }),
      { numRuns: 300 },
    );
  });
});
