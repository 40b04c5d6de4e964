import type { BusMessage } from "@fanwire/bus";
import { headerNames } from "@fanwire/protocol";
import { expect, test } from "vitest";
import { DecodedPublication, exceptedId } from "./decoded-publication.ts";

function message(data: Uint8Array, headers: Record<string, string> = {}): BusMessage {
  const get = (name: string) => headers[name] ?? "";
  return { subject: "s", data, headers: { get }, respond: () => false } as unknown as BusMessage;
}

const subscription = { pattern: "a.*", topicOf: () => "a.b" };

test("text is decoded as UTF-8, and other content as base64", () => {
  const bytes = new Uint8Array(new TextEncoder().encode("xжx").buffer, 1, 2);

  expect(new DecodedPublication(message(bytes), {})).toMatchObject({ data: "ж", isBinary: false, content: bytes });
  expect(new DecodedPublication(message(Buffer.from([0xff])), {})).toMatchObject({ data: "/w==", isBinary: true });
});

test("empty headers are absent", () => {
  const { event, id } = new DecodedPublication(message(Buffer.from("x"), { [headerNames.event]: "paid" }), {});

  expect([event, id]).toEqual(["paid", undefined]);
});

test("the subscription is named only if it is a pattern", () => {
  const byPattern = new DecodedPublication(message(Buffer.from("x")), { subscription });
  const byTopic = new DecodedPublication(message(Buffer.from("x")), {
    subscription: { ...subscription, pattern: "a.b" },
  });
  const direct = new DecodedPublication(message(Buffer.from("x")), {});

  expect([byPattern.topic, byPattern.subscription]).toEqual(["a.b", "a.*"]);
  expect([byTopic.topic, byTopic.subscription]).toEqual(["a.b", undefined]);
  expect([direct.topic, direct.subscription]).toEqual([undefined, undefined]);
});

test("an excepted connection of another worker is ignored", () => {
  const excepting = message(Buffer.from("x"), { [headerNames.except]: "abcd1234.7" });

  expect(exceptedId(excepting, "abcd1234")).toBe(7);
  expect(exceptedId(excepting, "abcd1235")).toBeUndefined();
  expect(exceptedId(message(Buffer.from("x")), "abcd1234")).toBeUndefined();
});
