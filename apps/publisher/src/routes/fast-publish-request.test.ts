import fc from "fast-check";
import { expect, test } from "vitest";
import { readCommonRequest } from "./fast-publish-request.ts";
import { publicationRequest } from "./publication-request.ts";

const hostileText = fc.string({
  unit: fc.constantFrom("a", ".", "*", ">", " ", "ж", "😀", "\ud800", "\n", "x".repeat(130)),
});
const anyText = fc.oneof(fc.string({ unit: fc.constantFrom("a", ".", "ж", "😀"), minLength: 1 }), hostileText);
/** Mostly valid values, sometimes any JSON. */
const likely = <T>(meant: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 9, arbitrary: meant }, { weight: 1, arbitrary: fc.jsonValue() });

const anyTarget = fc.oneof(
  fc.record({ everyone: likely(fc.constant(true)) }),
  fc.record({ topic: likely(anyText) }),
  fc.record({ topics: likely(fc.array(anyText)) }),
  fc.record({ user: likely(anyText) }),
  fc.record({ connection: likely(fc.constantFrom("k3v9x2ab.17", "k3v9x2ab", "k3v9x2ab.0", "")) }),
  fc.record({ everyone: fc.constant(true), topic: anyText }),
);
const commonFields = {
  target: likely(anyTarget),
  data: likely(anyText),
  event: likely(anyText),
  id: likely(anyText),
  durable: likely(fc.boolean()),
  receipt: likely(fc.boolean()),
};
const requiredKeys = ["target", "data"] as const;
const anyRequest = fc.oneof(
  fc.record(commonFields, { requiredKeys: [...requiredKeys] }),
  fc.record(
    {
      ...commonFields,
      encoding: likely(fc.constantFrom("utf8", "base64")),
      except: likely(fc.constantFrom("k3v9x2ab.17", "")),
      more: fc.jsonValue(),
    },
    { requiredKeys: [...requiredKeys] },
  ),
);

/** The fast path reads most of these, but few of the requests above. */
const name = fc.oneof(
  {
    weight: 9,
    arbitrary: fc.string({ unit: fc.constantFrom("a", ".", " ", "ж", "😀", "=", "*b"), minLength: 1, maxLength: 8 }),
  },
  { weight: 1, arbitrary: hostileText },
);
const validRequest = fc.record(
  {
    target: fc.oneof(
      fc.constant({ everyone: true }),
      fc.record({ topic: name }),
      fc.record({ user: name }),
      fc.record({ connection: fc.constantFrom("k3v9x2ab.17", "0.3", "7.0") }),
    ),
    data: fc.oneof(fc.constant(""), name),
    event: fc.oneof({ weight: 9, arbitrary: name }, fc.constant("fanwire.closing")),
    id: name,
    durable: fc.boolean(),
    receipt: fc.boolean(),
  },
  { requiredKeys: ["target", "data"] },
);

test.each([
  ["any JSON", likely(anyRequest), 300],
  ["mostly valid requests", validRequest, 10_000],
])("the fast path returns what the schema returns, and nothing that the schema refuses: %s", (_, requests, least) => {
  let common = 0;

  fc.assert(
    fc.property(requests as fc.Arbitrary<unknown>, (request) => {
      const read = readCommonRequest(request);
      if (read === undefined) return;

      common++;
      expect(read).toEqual(publicationRequest.parse(request));
    }),
    { numRuns: 30_000 },
  );
  expect(common).toBeGreaterThan(least);
});

test("the fast path reads the most common requests", () => {
  const targets = [{ everyone: true }, { topic: "orders.7" }, { user: "anna" }, { connection: "k3v9x2ab.17" }];

  for (const target of targets) {
    expect(readCommonRequest({ target, data: "привет", event: "e", id: "1", receipt: true })).toBeDefined();
    expect(readCommonRequest({ target, data: "привет", event: "e", encoding: "base64" })).toBeUndefined();
  }
});
