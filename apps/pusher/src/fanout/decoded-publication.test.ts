import type { BusMessage } from "@fanwire/bus";
import { headerNames } from "@fanwire/protocol";
import { expect, test } from "vitest";
import { DecodedPublication, exceptedId } from "./decoded-publication.ts";

function message(data: Uint8Array, headers: Record<string, string> = {}): BusMessage {
  const get = (name: string) => headers[name] ?? "";
  return { subject: "s", data, headers: { get }, respond: () => false } as unknown as BusMessage;
}

const subscription = { kind: "topic", user: undefined, pattern: "a.*", topicOf: () => "a.b" } as const;

test("text is decoded as UTF-8, and other content as base64", () => {
  const bytes = new Uint8Array(new TextEncoder().encode("xжx").buffer, 1, 2);

  expect(new DecodedPublication(message(bytes), {})).toMatchObject({
    content: bytes,
    text: { data: "ж", isBinary: false },
  });
  expect(new DecodedPublication(message(Buffer.from([0xff])), {})).toMatchObject({
    text: { data: "/w==", isBinary: true },
  });
});

test("empty headers are absent", () => {
  const { text } = new DecodedPublication(message(Buffer.from("x"), { [headerNames.event]: "paid" }), {});

  expect([text.event, text.id]).toEqual(["paid", undefined]);
});

test("the subscription is named only if it is a pattern", () => {
  const byPattern = new DecodedPublication(message(Buffer.from("x")), { subscription });
  const byTopic = new DecodedPublication(message(Buffer.from("x")), {
    subscription: { ...subscription, pattern: "a.b" },
  });
  const direct = new DecodedPublication(message(Buffer.from("x")), {});

  expect([byPattern.text.topic, byPattern.text.subscription]).toEqual(["a.b", "a.*"]);
  expect([byTopic.text.topic, byTopic.text.subscription]).toEqual(["a.b", undefined]);
  expect([direct.text.topic, direct.text.subscription]).toEqual([undefined, undefined]);
});

test("an excepted connection of another worker is ignored", () => {
  const excepting = message(Buffer.from("x"), { [headerNames.except]: "abcd1234.7" });

  expect(exceptedId(excepting, "abcd1234")).toBe(7);
  expect(exceptedId(excepting, "abcd1235")).toBeUndefined();
  expect(exceptedId(message(Buffer.from("x")), "abcd1234")).toBeUndefined();
});
