import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Link, LinkedList } from "./linked-list.ts";

function valuesOf<T>(list: LinkedList<T>): T[] {
  const values: T[] = [];
  for (let link = list.first; link !== undefined; link = link.next) values.push(link.value);
  return values;
}

describe("a linked list", () => {
  it("contains the same values as an array after the same appends and removals", () => {
    const steps = fc.array(fc.oneof(fc.constant("append" as const), fc.nat(20)), { maxLength: 60 });

    fc.assert(
      fc.property(steps, (steps) => {
        const list = new LinkedList<number>();
        const links: Link<number>[] = [];
        let model: number[] = [];

        for (const [index, step] of steps.entries()) {
          if (step === "append") {
            links.push(list.append(index));
            model.push(index);
            continue;
          }
          const link = links[step];
          if (link === undefined) continue;
          list.remove(link);
          model = model.filter((value) => value !== link.value);
        }

        expect(valuesOf(list)).toEqual(model);
        expect(list.size).toBe(model.length);
        expect(list.first?.previous).toBeUndefined();
      }),
    );
  });

  it("continues from a removed link", () => {
    const list = new LinkedList<string>();
    const [a] = [list.append("a"), list.append("b"), list.append("c")];

    list.remove(a);

    expect([a.isLinked, a.next?.value, a.next?.previous]).toEqual([false, "b", undefined]);
  });
});
