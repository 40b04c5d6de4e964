import fc from "fast-check";
import { expect, test } from "vitest";
import { parseFrame, publicationFrom } from "./messages.ts";

test("each line of any frame is an object or skipped", () => {
  const line = fc.oneof(
    fc.json({ maxDepth: 2 }),
    fc.string({ unit: "binary" }),
    fc.constantFrom('{"type":"welcome"}', "", "null", "[", '{"__proto__":{"type":"reply"}}'),
  );

  fc.assert(
    fc.property(fc.array(line, { maxLength: 5 }), (lines) => {
      const messages = parseFrame(lines.join("\n"));
      expect(messages.every((message) => typeof message === "object" && message !== null)).toBe(true);
      expect(messages.length).toBeGreaterThanOrEqual(lines.filter((each) => each === '{"type":"welcome"}').length);
    }),
    { numRuns: 10_000 },
  );
});

const publication = (data: string, encoding?: "base64") =>
  publicationFrom({ type: "publication", event: "message", data, ...(encoding && { encoding }) });

test("json() parses the content at each call, so that nobody changes what another one reads", () => {
  const received = publication('{"total":9}');

  const [one, other] = [received.json<{ total: number }>(), received.json()];
  one.total = 10;

  expect(other).toEqual({ total: 9 });
  expect([publication("null").json(), publication('"x"').json()]).toEqual([null, "x"]);
});

test("json() throws an error with a code if the content is not JSON", () => {
  for (const received of [publication("hello"), publication(""), publication("AP8=", "base64")]) {
    expect(() => received.json()).toThrow(expect.objectContaining({ code: "not-json" }));
  }
});

test("a publication can be cloned, for example to a worker of the page", () => {
  expect(structuredClone(publication("x"))).toMatchObject({ data: "x", event: "message" });
});
