import fc from "fast-check";
import { expect, test } from "vitest";
import { encodeErrorReply, encodeFanwire, encodeReply, encodeWelcome } from "./fanwire-messages.ts";
import { hostileText, plainPublication as plain } from "./publication.testing.ts";

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
});

test("any text is encoded as one line of JSON with the same content", () => {
  fc.assert(
    fc.property(hostileText, hostileText, hostileText, hostileText, (data, topic, event, id) => {
      const line = encodeFanwire({ ...plain, data, topic, event, id });

      if (/[\r\n]/.test(line)) throw new Error("more than one line");
      expect(JSON.parse(line)).toEqual({ type: "publication", topic, event, id, data });
    }),
    { numRuns: 10_000 },
  );
});

test("a reply has the id of its command, and a failed one an error", () => {
  expect(encodeReply('"x"')).toBe('{"type":"reply","id":"x","ok":true}');
  expect(JSON.parse(encodeErrorReply("1", "invalid", "why"))).toEqual({
    type: "reply",
    id: 1,
    ok: false,
    error: { code: "invalid", message: "why" },
  });
});
