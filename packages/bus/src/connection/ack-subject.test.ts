import fc from "fast-check";
import { expect, test } from "vitest";
import { parseAckSubject } from "./ack-subject.ts";

test("both forms of the subject are parsed", () => {
  const delivery = { count: 2, streamSequence: 15, consumerSequence: 3, storedAt: 1_700_000_000_000 };

  expect(parseAckSubject("$JS.ACK.S.C.2.15.3.1700000000000000000.7")).toEqual(delivery);
  expect(parseAckSubject("$JS.ACK._.hash.S.C.2.15.3.1700000000000000000.7.random")).toEqual(delivery);
  expect(parseAckSubject("_INBOX.abc")).toBeUndefined();
  expect(parseAckSubject("$JS.ACK.S")).toBeUndefined();
});

test("any subject is refused or parsed to numbers", () => {
  const token = fc.oneof(
    fc.constantFrom("1", "7", "1700000000000000000"),
    fc.constantFrom("", "-1", "x", "1e999", "_"),
    fc.string(),
  );
  const subject = fc.array(token, { maxLength: 12 }).map((tokens) => ["$JS.ACK", ...tokens].join("."));

  let read = 0;
  fc.assert(
    fc.property(subject, (text) => {
      const delivery = parseAckSubject(text);
      if (delivery === undefined) return;
      read++;
      expect(Object.values(delivery).every(Number.isFinite)).toBe(true);
    }),
    { numRuns: 10_000 },
  );
  expect(read).toBeGreaterThan(20);
});
