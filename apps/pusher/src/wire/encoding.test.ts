import fc from "fast-check";
import { expect, test } from "vitest";
import { encodeErrorReply, encodeFanwire, encodeReply, encodeSse, encodeWelcome, sseRetry } from "./encoding.ts";
import type { PublicationText } from "./publication.ts";

const plain: PublicationText = {
  data: "hi",
  isBinary: false,
  event: undefined,
  id: undefined,
  position: undefined,
  topic: undefined,
  subscription: undefined,
};

test("a publication has the members of the protocol, without absent ones", () => {
  expect(encodeFanwire(plain)).toBe('{"type":"publication","event":"message","data":"hi"}');
  expect(encodeFanwire({ ...plain, isRecovered: true })).toBe(
    '{"type":"publication","event":"message","data":"hi","recovered":true}',
  );
  expect(
    encodeFanwire({
      data: "AP8=",
      isBinary: true,
      event: "paid",
      id: "7",
      position: "x-9",
      topic: "a.b",
      subscription: "a.*",
    }),
  ).toBe(
    '{"type":"publication","position":"x-9","topic":"a.b","subscription":"a.*","event":"paid","id":"7","data":"AP8=","encoding":"base64"}',
  );
});

test("a welcome has a position and the reason of a failed recovery, if there are any", () => {
  const welcome = { connection: "abcd1234.7", position: undefined, recovered: null };

  expect(encodeWelcome(welcome)).toBe('{"type":"welcome","connection":"abcd1234.7","recovered":null}');
  expect(encodeWelcome({ ...welcome, position: "x-9", recovered: false, reason: "expired" })).toBe(
    '{"type":"welcome","connection":"abcd1234.7","position":"x-9","recovered":false,"reason":"expired"}',
  );
  expect(sseRetry(1_500)).toBe("retry: 1500\n\n");
});

/** Contains everything that ends lines, headers, events and strings in the formats. */
const text = fc
  .array(
    fc.constantFrom("a", "ж", "😀", "\r", "\n", "\r\n", "\0", '"', "\\", ":", " ", "\u2028", "\ud800", "data: x"),
    { maxLength: 8 },
  )
  .map((parts) => parts.join(""));

test("any text is encoded as one line of JSON with the same content", () => {
  fc.assert(
    fc.property(text, text, text, text, (data, topic, event, id) => {
      const line = encodeFanwire({ ...plain, data, topic, event, id });

      if (/[\r\n]/.test(line)) throw new Error("more than one line");
      expect(JSON.parse(line)).toEqual({ type: "publication", topic, event, id, data });
    }),
    { numRuns: 10_000 },
  );
});

test("welcome and replies", () => {
  expect(JSON.parse(encodeWelcome({ connection: "abcd1234.1", position: undefined, recovered: null }))).toEqual({
    type: "welcome",
    connection: "abcd1234.1",
    recovered: null,
  });
  expect(JSON.parse(encodeReply('"x"'))).toEqual({ type: "reply", id: "x", ok: true });
  expect(JSON.parse(encodeErrorReply("1", "invalid", "why"))).toEqual({
    type: "reply",
    id: 1,
    ok: false,
    error: { code: "invalid", message: "why" },
  });
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
    fc.property(text, text, (data, event) => {
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
