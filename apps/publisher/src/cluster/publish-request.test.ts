import { expect, test } from "vitest";
import { type PublishRequest, portionsOf } from "./publish-request.ts";

const request = (topics: number): PublishRequest => ({
  publications: Array.from({ length: topics }, () => ({ target: { kind: "everyone" }, content: Buffer.from("x") })),
  isDurable: false,
  wantsReceipt: false,
});

test("a portion has 500 publications, and at most the further topics of its last request", () => {
  const batch = [...Array.from({ length: 499 }, () => request(1)), ...Array.from({ length: 13 }, () => request(100))];

  const portions = portionsOf(batch);

  expect(portions.flat()).toEqual(batch);
  const sizes = portions.map((portion) => portion.flatMap(({ publications }) => publications).length);
  expect(sizes).toEqual([599, 500, 500, 200]);
  expect(portionsOf([])).toEqual([]);
});
