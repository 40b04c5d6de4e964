import fc from "fast-check";
import { expect, test } from "vitest";
import { parsePublishAck } from "./publish-ack.ts";

test("only an acknowledgement by that stream means stored", () => {
  expect(parsePublishAck('{"stream":"Q","seq":1}', "Q")).toEqual({ ok: true });
  expect(parsePublishAck('{"stream":"Q","seq":"1"}', "Q")).toMatchObject({ ok: false, reason: "unavailable" });
  expect(parsePublishAck('{"stream":"Q","seq":1,"error":7}', "Q")).toMatchObject({ ok: false, reason: "unavailable" });
  expect(parsePublishAck('{"stream":"OTHER","seq":1}', "Q")).toMatchObject({ ok: false, reason: "unavailable" });
  const nested = "[".repeat(12_000) + "]".repeat(12_000);
  expect(parsePublishAck(`{"stream":${nested},"seq":1}`, "Q")).toMatchObject({ ok: false, reason: "unavailable" });
  expect(parsePublishAck('{"error":{"err_code":10054,"description":"too big"}}', "Q")).toMatchObject({
    detail: "too big",
  });
});

test("any reply can be parsed, and means stored only if it names the stream without an error", () => {
  const reply = fc.oneof(
    fc.json({ maxDepth: 2 }),
    fc.string({ unit: "binary" }),
    fc
      .record(
        {
          stream: fc.oneof({ arbitrary: fc.constant("Q"), weight: 3 }, fc.constant("q"), fc.jsonValue({ maxDepth: 1 })),
          seq: fc.oneof({ arbitrary: fc.nat(), weight: 4 }, fc.jsonValue({ maxDepth: 1 })),
          error: fc.oneof(fc.record({ err_code: fc.jsonValue({ maxDepth: 1 }) }), fc.jsonValue({ maxDepth: 1 })),
        },
        { requiredKeys: ["stream", "seq"] },
      )
      .map((value) => JSON.stringify(value)),
  );

  let stored = 0;
  fc.assert(
    fc.property(reply, (text) => {
      if (!parsePublishAck(text, "Q").ok) return;
      stored++;
      expect(JSON.parse(text)).toMatchObject({ stream: "Q" });
    }),
    { numRuns: 10_000 },
  );
  expect(stored).toBeGreaterThan(100);
});
