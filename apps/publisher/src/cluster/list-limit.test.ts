import { expect, test } from "vitest";
import { ListLimit } from "./list-limit.ts";

const PLACES = 32;
const read = async () => ({ ok: true }) as const;

/** Returns a limit whose places are all taken, and what ends one of these lists. */
function fullLimit(waitMs: number) {
  const limit = new ListLimit(waitMs);
  const ends: (() => void)[] = [];
  const list = () => new Promise<{ ok: true }>((resolve) => ends.push(() => resolve({ ok: true })));
  for (let count = 0; count < PLACES; count++) void limit.run(list);
  return { limit, endOne: () => ends.pop()?.() };
}

test("a page of one user waits for its turn, before later lists", async () => {
  const { limit, endOne } = fullLimit(60_000);
  const order: string[] = [];

  const waiting = ["first", "second"].map((name) =>
    limit.runInTurn(async () => {
      order.push(name);
      return { ok: true };
    }),
  );
  endOne();
  expect(await limit.run(read)).toEqual({ ok: false, reason: "busy" });
  await Promise.all(waiting);

  expect(order).toEqual(["first", "second"]);
  expect(await limit.run(read)).toEqual({ ok: true });
  endOne();
});

test("a page of one user is refused when it has waited for too long", async () => {
  const { limit, endOne } = fullLimit(1);

  expect(await limit.runInTurn(read)).toEqual({ ok: false, reason: "busy" });

  endOne();
  await expect.poll(() => limit.run(read)).toEqual({ ok: true });
});
