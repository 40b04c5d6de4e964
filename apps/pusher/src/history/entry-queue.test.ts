import fc from "fast-check";
import { expect, test } from "vitest";
import { EntryQueue, type QueuedEntry } from "./entry-queue.ts";

const entry = (sequence: number): QueuedEntry => ({
  sequence,
  subject: "history",
  bytes: 0,
  droppedUpTo: sequence - 1,
  queuedAt: 0,
  isGapReported: false,
  isMissing: false,
});

test("after any sequence of push and shift the queue is that of an array", () => {
  const step = fc.oneof(
    fc.record({ push: fc.integer({ min: 1, max: 700 }) }),
    fc.record({ shift: fc.integer({ min: 1, max: 700 }) }),
    fc.constant("clear" as const),
  );

  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const queue = new EntryQueue();
      let model: number[] = [];
      let last = 0;
      for (const each of steps) {
        if (each === "clear") {
          queue.clear();
          model = [];
        } else if ("push" in each) {
          for (let count = 0; count < each.push; count++) {
            queue.push(entry(++last));
            model.push(last);
          }
        } else {
          for (let count = 0; count < each.shift && queue.head !== undefined; count++) {
            queue.shift();
            model.shift();
          }
        }
        const firsts = [...queue.all()].slice(0, 3).map(({ sequence }) => sequence);
        expect([queue.size, queue.head?.sequence, firsts]).toEqual([model.length, model[0], model.slice(0, 3)]);
      }
    }),
    { numRuns: 200 },
  );
});
