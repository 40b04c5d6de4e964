import fc from "fast-check";
import { expect, test } from "vitest";
import { parseAppendReply } from "./append-reply.ts";

const read = (answer: unknown) => parseAppendReply(JSON.stringify(answer), "OURS");
const error = (err_code: number, code: number, description: string) => read({ error: { err_code, code, description } });

test("an acknowledgement has the sequence, and whether the publication was stored before", () => {
  expect(read({ stream: "OURS", seq: 7 })).toEqual({ ok: true, sequence: 7, isDuplicate: false });
  expect(read({ stream: "OURS", seq: 7, duplicate: true })).toEqual({ ok: true, sequence: 7, isDuplicate: true });
});

test("a publication whose first copy is in process is retried, and may be stored", () => {
  const inProcess = { ok: false, isPassing: true, mayBeStored: true };

  expect(error(10158, 409, "duplicate message id is in process")).toMatchObject(inProcess);
  expect(read({ stream: "OURS", seq: 0, duplicate: true })).toMatchObject(inProcess);
});

test.each([
  ["no leader of JetStream", 10008, 503, "JetStream system temporarily unavailable", true],
  ["no resources", 10023, 503, "insufficient resources", true],
  ["no storage", 10047, 500, "insufficient storage resources available", false],
  ["a sealed stream", 10109, 400, "invalid operation on sealed stream", false],
  ["a limit of the stream", 10077, 503, "maximum messages exceeded", true],
  ["a leader that is none any more", 0, 503, "raft: not leader", true],
  ["too many requests", 10167, 429, "too many requests", true],
  ["no JetStream", 10076, 503, "JetStream not enabled", false],
  ["no stream", 10059, 404, "stream not found", true],
])("nothing was stored: %s", (_, err_code, code, description, isPassing) => {
  expect(error(err_code, code, description)).toMatchObject({ ok: false, isPassing, mayBeStored: false });
});

test("a message beyond the limit of the stream is too large", () => {
  expect(error(10054, 400, "message size exceeds maximum allowed")).toMatchObject({
    reason: "too-large",
    isPassing: false,
    mayBeStored: false,
  });
});

test("after any other answer the publication may be stored", () => {
  for (const answer of [
    error(10077, 503, "store is closed"),
    error(0, 503, "write error: no space left on device"),
    error(10199, 500, "an error of a server to come"),
    read({ stream: "OTHERS", seq: 1 }),
    read({ stream: "OURS" }),
    read({ error: {} }),
    read([]),
    parseAppendReply("", "OURS"),
    parseAppendReply("ok", "OURS"),
  ]) {
    expect(answer).toMatchObject({ ok: false, mayBeStored: true });
  }
});

test("any answer can be parsed", () => {
  const reply = fc.record({ error: fc.jsonValue(), seq: fc.jsonValue() }).map((each) => JSON.stringify(each));

  fc.assert(
    fc.property(fc.oneof(fc.json(), fc.string(), reply), (text) => {
      const answer = parseAppendReply(text, "OURS");
      expect(answer.ok || answer.detail.length > 0).toBe(true);
    }),
  );
});
