import fc from "fast-check";
import { expect, test } from "vitest";
import { toFrames } from "./batched-frames.ts";

function framesOf(messages: readonly string[], maxBytes: number, separator = "\n"): string[] {
  return toFrames(messages, { separator, maxBytes }).map((frame) => Buffer.from(frame).toString());
}

test("a frame has at most its maximum bytes", () => {
  expect(framesOf(["12", "34", "ж", "678"], 5)).toEqual(["12\n34", "ж", "678"]);
  expect(framesOf(["12", "34", "5"], 4, "")).toEqual(["1234", "5"]);
});

test("frames hold all messages, whole and in order, and as many as fit", () => {
  const message = fc.string({ unit: "grapheme", minLength: 1, maxLength: 12 }).filter((text) => !text.includes("\n"));
  fc.assert(
    fc.property(fc.array(message), fc.integer({ min: 1, max: 40 }), (messages, maxBytes) => {
      const frames = framesOf(messages, maxBytes).map((frame) => frame.split("\n"));
      expect(frames.flat()).toEqual(messages);
      for (const [at, frame] of frames.entries()) {
        const bytes = Buffer.byteLength(frame.join("\n"));
        if (frame.length > 1) expect(bytes).toBeLessThanOrEqual(maxBytes);
        const next = frames[at + 1]?.[0];
        if (next !== undefined) expect(bytes + 1 + Buffer.byteLength(next)).toBeGreaterThan(maxBytes);
      }
    }),
  );
});
