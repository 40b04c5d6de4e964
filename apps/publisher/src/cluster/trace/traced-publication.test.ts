import { Subjects } from "@fanwire/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Positions } from "./positions.ts";
import { publicationSubjects } from "./trace.ts";
import { MAX_SHOWN_BYTES, tracePublication } from "./traced-publication.ts";

const subjects = new Subjects();

function show(data: Uint8Array, headers: Record<string, string> = {}, subject = "fanwire.live.all") {
  const message = {
    subject,
    data,
    headers: { bytes: 0, get: (name: string) => headers[name] ?? "" },
    respond: () => false,
  };
  return tracePublication(message, { subjects, at: "now", positionOf: (sequence) => `epoch-${sequence}` });
}

test("the shown text is a beginning of the content that has only whole characters", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", maxLength: 3_000, size: "max" }), (text) => {
      const data = String(show(Buffer.from(text))?.data);

      expect(text.startsWith(data)).toBe(true);
      const bytes = Buffer.byteLength(data);
      expect(bytes).toBeLessThanOrEqual(MAX_SHOWN_BYTES);
      if (data !== text) expect(bytes).toBeGreaterThan(MAX_SHOWN_BYTES - 4);
    }),
    { numRuns: 100 },
  );
});

test("content that is not UTF-8 is shown as base64", () => {
  const content = Buffer.alloc(5_000, 0xff);

  expect(show(content)).toMatchObject({
    data: content.subarray(0, MAX_SHOWN_BYTES).toString("base64"),
    encoding: "base64",
    bytes: 5_000,
  });
});

test("long headers are cut, and an invalid address is left out", () => {
  const shown = show(Buffer.from("x"), { Event: "e".repeat(10_000), Id: "i".repeat(10_000), Except: "nobody" });

  expect([shown?.event.length, shown?.id?.length, shown?.except]).toEqual([255, 255, undefined]);
});

test("a publication is durable if it names our stream", () => {
  const stored = { "Nats-Sequence": "7", "Nats-Subject": "fanwire.history.all" };

  expect(show(Buffer.from("x"), { ...stored, "Nats-Stream": "FANWIRE_HISTORY" })).toMatchObject({
    durable: true,
    position: "epoch-7",
  });
  expect(show(Buffer.from("x"), { ...stored, "Nats-Stream": "OTHER" })).toMatchObject({ durable: false });
});

test("a message to a subject of no publication is not shown", () => {
  expect(show(Buffer.from("x"), {}, "fanwire.live.topic.=zz")).toBeUndefined();
  expect(show(Buffer.from("x"), {}, "fanwire.live.topic.private-a")).toBeUndefined();
});

test("each filter has the subjects of its targets", () => {
  expect(publicationSubjects(subjects, {})).toEqual(["fanwire.live.>"]);
  expect(publicationSubjects(subjects, { topic: "orders.*" })).toEqual(["fanwire.live.topic.orders.*"]);
  expect(publicationSubjects(subjects, { topic: "private-a" })).toEqual(["fanwire.live.private.private-a"]);
  expect(publicationSubjects(subjects, { user: "a.b", connection: "k3v9x2ab.1" })).toEqual([
    "fanwire.live.user.a=2Eb",
    "fanwire.live.connection.k3v9x2ab.1",
  ]);
});

test("a position is unknown while the history may have been recreated", async () => {
  const history = {
    epoch: "first",
    state: async () => ({ ok: true as const, history: {} as never, hasCopies: false }),
  };
  const positions = new Positions(history);

  expect([positions.of(7), positions.of(8)]).toEqual(["first-7", "first-8"]);
  expect([positions.of(1), positions.of(2)]).toEqual([undefined, undefined]);
  history.epoch = "second";
  await positions.refresh();
  expect(positions.of(3)).toBe("second-3");
});
