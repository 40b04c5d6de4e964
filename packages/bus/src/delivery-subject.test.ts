import { expect, test } from "vitest";
import { parseDelivery } from "./delivery-subject.ts";

test("both forms of the subject are read", () => {
  const delivery = { count: 2, streamSequence: 15, storedAt: 1_700_000_000_000 };

  expect(parseDelivery("$JS.ACK.S.C.2.15.3.1700000000000000000.7")).toEqual(delivery);
  expect(parseDelivery("$JS.ACK._.hash.S.C.2.15.3.1700000000000000000.7.random")).toEqual(delivery);
  expect(parseDelivery("_INBOX.abc")).toBeUndefined();
  expect(parseDelivery("$JS.ACK.S")).toBeUndefined();
});
