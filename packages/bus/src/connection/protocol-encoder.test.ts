import { expect, test } from "vitest";
import { encodeProtocol } from "./protocol-encoder.ts";

test("commands and publications are encoded in the NATS protocol, in order", () => {
  const encoded = encodeProtocol([
    "SUB fanwire.live.topic.news 7",
    { subject: "fanwire.live.everyone", content: Buffer.from("grüß dich\r\n") },
    { subject: "fanwire.live.everyone", content: new Uint8Array() },
    "UNSUB 7",
  ]);
  expect(encoded.toString()).toBe(
    [
      "SUB fanwire.live.topic.news 7\r\n",
      "PUB fanwire.live.everyone 13\r\ngrüß dich\r\n\r\n",
      "PUB fanwire.live.everyone 0\r\n\r\n",
      "UNSUB 7\r\n",
    ].join(""),
  );
});

test("content is written unchanged", () => {
  const content = Uint8Array.from({ length: 256 }, (_, byte) => byte);
  const encoded = encodeProtocol([{ subject: "s", content }]);
  expect(encoded.subarray("PUB s 256\r\n".length, -2)).toEqual(Buffer.from(content));
});

test("no items give an empty buffer", () => {
  expect(encodeProtocol([])).toHaveLength(0);
});
