import { isRestricted, workerIdFrom } from "@fanwire/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";
import { channelKind, channelOf, isChannelName, topicOf, userOf } from "./channels.ts";
import { formatSocketId, parseSocketId } from "./socket-id.ts";

test("the prefix decides the kind of a channel", () => {
  const kinds = (name: string) =>
    Object.entries(channelKind(name)).flatMap(([kind, has]) => (has ? kind.slice(2).toLowerCase() : []));

  expect(kinds("orders")).toEqual([]);
  expect(kinds("cache-orders")).toEqual(["cache"]);
  expect(kinds("private-orders")).toEqual(["private"]);
  expect(kinds("private-cache-orders")).toEqual(["private", "cache"]);
  expect(kinds("private-encrypted-orders")).toEqual(["private", "encrypted"]);
  expect(kinds("private-encrypted-cache-orders")).toEqual(["private", "encrypted", "cache"]);
  expect(kinds("presence-lobby")).toEqual(["presence"]);
  expect(kinds("presence-cache-lobby")).toEqual(["presence", "cache"]);
  expect(kinds("presence-encrypted-lobby")).toEqual(["presence"]);
  expect(kinds("a-private-cache-x")).toEqual([]);
});

test("names of channels have the letters and length that the Pusher SDKs allow", () => {
  for (const name of ["a", "A-z_=@,.;9", "a".repeat(200)]) expect(isChannelName(name), name).toBe(true);
  for (const name of ["", "a b", "a/b", "#a", "ä", "a\n", "a".repeat(201), "a*", "a>"]) {
    expect(isChannelName(name), name).toBe(false);
  }
});

test("a channel and its topic are the same without a namespace, and distinct in each namespace", () => {
  const shared = { namespace: "" };
  const own = { namespace: "7" };

  expect(topicOf(shared, "private-a.b")).toBe("private-a.b");
  expect(topicOf(own, "private-a.b")).toBe("app/7/private-a.b");
  expect(isRestricted(topicOf(own, "presence-a"))).toBe(true);
  expect(isRestricted(topicOf(own, "a"))).toBe(false);
  expect(channelOf(own, "app/7/private-a.b")).toBe("private-a.b");
  expect(channelOf(own, "private-a.b")).toBeUndefined();
  expect(channelOf(own, "app/77/a")).toBeUndefined();
  expect(channelOf(shared, "app/7/a")).toBeUndefined();
  expect(channelOf(shared, "a b")).toBeUndefined();
  expect(["private-a.b", "a-app/"].map((topic) => channelOf(shared, topic))).toEqual(["private-a.b", undefined]);
  expect([userOf(shared, "u"), userOf(shared, "u/app/7/x")]).toEqual(["u", "u/app/7/x"]);
  expect([userOf(own, "u/1"), userOf(own, "app/8/u")]).toEqual(["app/7/u/1", "app/7/app/8/u"]);
  for (const id of ["", "app/7/u", "x".repeat(256)]) expect(userOf(shared, id), id).toBeUndefined();
  for (const id of ["", "x".repeat(250)]) expect(userOf(own, id), id).toBeUndefined();
});

test("every connection has a socket id of two numbers that leads back to it", () => {
  const random = fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), {
    minLength: 8,
    maxLength: 8,
  });

  fc.assert(
    fc.property(random, fc.integer({ min: 1, max: 2 ** 48 }), (numbers, connectionId) => {
      const address = { workerId: workerIdFrom(() => numbers.pop() ?? 0), connectionId };
      const socketId = formatSocketId(address);

      expect(socketId).toMatch(/^\d+\.\d+$/);
      expect(parseSocketId(socketId)).toEqual(address);
    }),
  );
  expect(parseSocketId("783641640960.1")).toEqual({ workerId: "a0000000", connectionId: 1 });
  for (const text of [
    "",
    "1.1",
    "4711.815",
    "783641640960.1x",
    "783641640959.1",
    "2821109907456.1",
    "99999999999999.1",
    "783641640960",
    "783641640960.0",
    "783641640960.01",
    "x783641640960.1",
  ]) {
    expect(parseSocketId(text), text).toBeUndefined();
  }
});
