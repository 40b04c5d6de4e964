import { expect, test } from "vitest";
import { Rates } from "./rates.ts";

test("rates are averages over the window", () => {
  const rates = new Rates<"deliveries">(3);
  expect(rates.perSecond("deliveries")).toBe(0);

  rates.sample(0, { deliveries: 1_000 });
  expect(rates.perSecond("deliveries")).toBe(0);
  rates.sample(2_000, { deliveries: 1_100 });
  rates.sample(4_000, { deliveries: 1_200 });
  expect(rates.perSecond("deliveries")).toBe(50);

  rates.sample(6_000, { deliveries: 1_200 });
  expect(rates.perSecond("deliveries")).toBe(25);
});
