import fc from "fast-check";
import { expect, test } from "vitest";
import { Deque } from "./deque.ts";

test("a deque returns entries in the order of pushing, for any mixture of calls", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(1_500), fc.nat(1_500)), { maxLength: 4 }), (rounds) => {
      const deque = new Deque<number>();
      const model: number[] = [];
      let next = 0;
      for (const [pushes, shifts] of rounds) {
        for (let count = 0; count < pushes; count++) {
          deque.push(next);
          model.push(next++);
        }
        for (let count = 0; count < shifts; count++) expect(deque.shift()).toBe(model.shift());
        expect([deque.size, deque.first]).toEqual([model.length, model[0]]);
      }
    }),
    { numRuns: 50 },
  );
});
