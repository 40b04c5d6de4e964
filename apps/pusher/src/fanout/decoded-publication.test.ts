import { headerNames } from "@fanwire/protocol";
import { expect, test } from "vitest";
import { busMessage } from "../bus-message.testing.ts";
import { DecodedPublication, exceptedId } from "./decoded-publication.ts";

const subscription = { kind: "topic", user: undefined, pattern: "a.*", topicOf: () => "a.b" } as const;

test("text is decoded as UTF-8, and other content as base64", () => {
  const bytes = new Uint8Array(new TextEncoder().encode("xжx").buffer, 1, 2);

  expect(new DecodedPublication(busMessage(bytes), {})).toMatchObject({
    content: bytes,
    text: { data: "ж", isBinary: false },
  });
  expect(new DecodedPublication(busMessage(Buffer.from([0xff])), {})).toMatchObject({
    text: { data: "/w==", isBinary: true },
  });
});

test("empty headers are absent", () => {
  const { text } = new DecodedPublication(busMessage("x", { [headerNames.event]: "paid" }), {});

  expect([text.event, text.id]).toEqual(["paid", undefined]);
});

test("the subscription is named only if it is a pattern", () => {
  const byPattern = new DecodedPublication(busMessage("x"), { subscription });
  const byTopic = new DecodedPublication(busMessage("x"), {
    subscription: { ...subscription, pattern: "a.b" },
  });
  const direct = new DecodedPublication(busMessage("x"), {});

  expect([byPattern.text.topic, byPattern.text.subscription]).toEqual(["a.b", "a.*"]);
  expect([byTopic.text.topic, byTopic.text.subscription]).toEqual(["a.b", undefined]);
  expect([direct.text.topic, direct.text.subscription]).toEqual([undefined, undefined]);
});

test("an excepted connection of another worker is ignored", () => {
  const excepting = busMessage("x", { [headerNames.except]: "abcd1234.7" });

  expect(exceptedId(excepting, "abcd1234")).toBe(7);
  expect(exceptedId(excepting, "abcd1235")).toBeUndefined();
  expect(exceptedId(busMessage("x"), "abcd1234")).toBeUndefined();
});
