import fc from "fast-check";
import { expect, test } from "vitest";
import { encodeFrames } from "../wire/frames.ts";
import type { SharedBytes } from "./buffer-budget.ts";
import { encodeBatch, type FrameBatch, FrameBatches } from "./frame-batch.ts";
import { UnsentBuffer } from "./unsent-buffer.ts";

const sizes = fc.array(fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 65_000, max: 66_000 })), {
  minLength: 1,
  maxLength: 8,
});

test("peers that receive the same payloads share one batch, which is encoded once", () => {
  const batches = new FrameBatches();
  const peers: (FrameBatch | undefined)[] = Array.from({ length: 3 });
  for (const text of ["one", "two"]) {
    const payload = Buffer.from(text);
    for (const at of peers.keys()) peers[at] = batches.append(peers[at], payload);
  }
  const [first, second, third] = peers;

  expect(first).toBe(second);
  expect(second).toBe(third);
  expect(first && Buffer.concat(encodeBatch(first))).toEqual(encodeFrames([Buffer.from("one"), Buffer.from("two")]));
  expect(first && encodeBatch(first)).toBe(third && encodeBatch(third));
});

test("a peer with another payload in between receives exactly its own payloads", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.integer({ min: 0, max: 3 }), fc.boolean()), { maxLength: 60 }), (deliveries) => {
      const batches = new FrameBatches();
      const got: (FrameBatch | undefined)[] = Array.from({ length: 4 });
      const expected: Buffer[][] = [[], [], [], []];
      for (const [index, [peer, isForAll]] of deliveries.entries()) {
        const payload = Buffer.from(`payload ${index}`);
        for (const at of got.keys()) {
          if (!isForAll && at !== peer) continue;
          got[at] = batches.append(got[at], payload);
          expected[at]?.push(payload);
        }
      }

      for (const [at, batch] of got.entries()) {
        const payloads = expected[at] ?? [];
        const bytes = batch === undefined ? Buffer.alloc(0) : Buffer.concat(encodeBatch(batch));
        expect(bytes).toEqual(encodeFrames(payloads));
        expect(batch?.bytes ?? 0).toBe(bytes.length);
      }
    }),
  );
});

test("batches of different ticks share nothing", () => {
  const batches = new FrameBatches();
  const payload = Buffer.from("same");

  const earlier = batches.append(undefined, payload);
  batches.clear();

  expect(batches.append(undefined, payload)).not.toBe(earlier);
});

test("large payloads are not copied, and all frames keep their order", () => {
  fc.assert(
    fc.property(sizes, (lengths) => {
      const batches = new FrameBatches();
      const payloads = lengths.map((length, index) => Buffer.alloc(length, index));
      const batch = payloads.reduce<FrameBatch | undefined>(
        (before, payload) => batches.append(before, payload),
        undefined,
      );
      const buffers = batch === undefined ? [] : encodeBatch(batch);

      expect(Buffer.concat(buffers).equals(encodeFrames(payloads))).toBe(true);
      for (const payload of payloads.filter(({ length }) => length >= 65_536)) {
        expect(buffers.some((buffer) => buffer.buffer === payload.buffer)).toBe(true);
      }
    }),
    { numRuns: 30 },
  );
});

class CountingBudget {
  bytes = 0;

  hold(shared: SharedBytes): void {
    if (shared.holders++ === 0) this.bytes += shared.bytes;
  }

  release(shared: SharedBytes): void {
    if (--shared.holders === 0) this.bytes -= shared.bytes;
  }
}

test("an unsent buffer returns everything in order, a part at a time, and counts its memory until it is written", () => {
  fc.assert(
    fc.property(sizes, fc.integer({ min: 500, max: 100_000 }), (lengths, part) => {
      const budget = new CountingBudget();
      const unsent = new UnsentBuffer(budget);
      const pieces = lengths.map((length, index) => Buffer.alloc(length, index));
      for (const piece of pieces) unsent.add(piece);
      const taken: Buffer[] = [];

      const bytes = lengths.reduce((sum, length) => sum + length, 0);
      expect(unsent.bytes).toBe(bytes);
      expect(budget.bytes).toBeGreaterThanOrEqual(bytes);
      while (unsent.bytes > 0) {
        const buffers = unsent.take(part);
        expect(Buffer.concat(buffers).length).toBeLessThanOrEqual(part);
        taken.push(...buffers);
        unsent.written();
      }

      expect(Buffer.concat(taken).equals(Buffer.concat(pieces))).toBe(true);
      expect([budget.bytes, unsent.take(part)]).toEqual([0, []]);
    }),
    { numRuns: 30 },
  );
});

test("an unsent buffer joins small pieces in blocks, and shares the memory of large ones", () => {
  const budget = new CountingBudget();
  const [one, other] = [new UnsentBuffer(budget), new UnsentBuffer(budget)];
  for (let count = 0; count < 100_000; count++)
    one.add(Buffer.from("sixty bytes or so of something that is sent often, a frame"));
  expect(one.take(Number.POSITIVE_INFINITY).length).toBeLessThan(120);
  one.written();

  const large = Buffer.alloc(1_000_000);
  const memory = { bytes: large.length, holders: 0 };
  for (const unsent of [one, other]) unsent.add(large, memory);
  expect(budget.bytes).toBe(large.length);
  one.clear();
  expect(budget.bytes).toBe(large.length);
  other.clear();
  expect(budget.bytes).toBe(0);
});
