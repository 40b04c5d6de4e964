import fc from "fast-check";
import { expect, test } from "vitest";
import { hostileText, plainPublication as plain } from "./publication.testing.ts";
import { encodeSse, sseRetry } from "./sse-events.ts";

test("the retry field ends with an empty line", () => {
  expect(sseRetry(1_500)).toBe("retry: 1500\n\n");
});

test("a server-sent event has a data line for each line, and names only what is not the default", () => {
  expect(encodeSse({ ...plain, data: "a\nb\r\nc\rd" })).toBe("data: a\ndata: b\ndata: c\ndata: d\n\n");
  expect(encodeSse({ ...plain, event: "paid", position: "x-9" })).toBe("id: x-9\nevent: paid\ndata: hi\n\n");
  expect(encodeSse({ ...plain, position: "x-9" }, "x-8.1")).toBe("id: x-8.1\ndata: hi\n\n");
  expect(encodeSse({ ...plain, event: "message", data: "" })).toBe("data: \n\n");
  expect(encodeSse({ ...plain, event: "paid", data: "AP8=", isBinary: true })).toBe(
    "event: fanwire.binary\ndata: AP8=\n\n",
  );
});

test.each([
  ["error", "fanwire.event.error"],
  ["open", "fanwire.event.open"],
  ["fanwire.close", "fanwire.event.fanwire.close"],
  ["fanwire.event.error", "fanwire.event.fanwire.event.error"],
  ["fanwire.\rclose", "fanwire.event.fanwire. close"],
  ["Error", "Error"],
  ["errors", "errors"],
  ["fanwire", "fanwire"],
])("an event with a name that readers use otherwise gets a prefix: %j", (event, name) => {
  expect(encodeSse({ ...plain, event })).toBe(`event: ${name}\ndata: hi\n\n`);
});

test("any text is encoded as one server-sent event with the same content", () => {
  fc.assert(
    fc.property(hostileText, hostileText, (data, event) => {
      const events = encodeSse({ ...plain, data, event, position: "x-9" }).split(/\r\n|\r|\n/);

      expect(events.splice(-2)).toEqual(["", ""]);
      const fields = events.map((line) => /^(id|event|data): (.*)$/su.exec(line)?.slice(1));
      const named = (name: string) => fields.flatMap((field) => (field?.[0] === name ? [field[1]] : []));
      expect(named("id")).toEqual(["x-9"]);
      expect(named("event").length).toBeLessThanOrEqual(1);
      expect(named("data").join("\n")).toBe(data.replaceAll(/\r\n|\r/g, "\n"));
    }),
    { numRuns: 10_000 },
  );
});
