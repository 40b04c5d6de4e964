import fc from "fast-check";
import { expect, test } from "vitest";
import { busMessage } from "../bus-message.testing.ts";
import { DecodedPublication } from "../fanout/decoded-publication.ts";
import { commandData, parsePusherFrame, pusherFrame, watchlistEvents } from "./pusher-frames.ts";
import { pusherQueryRefusal } from "./pusher-handshake.ts";
import { presenceData, presenceFrames } from "./pusher-presence.ts";
import { encodePusher } from "./pusher-publication.ts";

/** Encodes what a subscription to a topic receives. */
function encoded(topic: string, content: string | Uint8Array, headers?: Record<string, string>): unknown {
  const subscription = { kind: "topic", user: undefined, pattern: topic, topicOf: () => topic } as const;
  return parsed(encodePusher(new DecodedPublication(busMessage(content, headers), { subscription })));
}

const parsed = (frame: string | undefined) => (frame === undefined ? undefined : JSON.parse(frame));

test("a publication has the channel, the event and the content as text", () => {
  expect(encoded("apple/a", '{"a":1}', { Event: "paid" })).toEqual({
    event: "paid",
    channel: "apple/a",
    data: '{"a":1}',
  });
  expect(encoded("app/shop/private-a.b", "ж")).toEqual({ event: "message", channel: "private-a.b", data: "ж" });
});

test("content that is not UTF-8 and reserved events are not carried", () => {
  expect(encoded("orders", Uint8Array.of(0xff))).toBeUndefined();
  expect(encoded("orders", "x", { Event: "pusher:error" })).toBeUndefined();
  expect(encoded("orders", "x", { Event: "pusher_internal:member_added" })).toBeUndefined();
});

test("only client events on presence channels name their sender", () => {
  const headers = { Event: "client-typing", User: "50%25%20off" };

  expect(encoded("presence-room", "x", headers)).toMatchObject({ user_id: "50% off" });
  expect(encoded("app/shop/presence-room", "x", headers)).toMatchObject({ user_id: "50% off" });
  expect(encoded("private-room", "x", headers)).not.toHaveProperty("user_id");
  expect(encoded("presence-room", "x", { ...headers, Event: "typing" })).not.toHaveProperty("user_id");
});

test("a publication to a user is on the channel of that user, and one to everyone on none", () => {
  const message = busMessage("x");
  const at = (kind: "user" | "everyone", user: string | undefined) => {
    const subscription = { kind, user, pattern: undefined, topicOf: () => undefined };
    return parsed(encodePusher(new DecodedPublication(message, { subscription })));
  };

  expect(at("user", "app/shop/u 1")).toEqual({ event: "message", channel: "#server-to-user-u 1", data: "x" });
  expect(at("user", "u1")).toEqual({ event: "message", channel: "#server-to-user-u1", data: "x" });
  expect(at("everyone", undefined)).toEqual({ event: "message", data: "x" });
  expect(parsed(encodePusher(new DecodedPublication(message, {})))).toEqual({ event: "message", data: "x" });
});

test("every frame is JSON, whatever the texts in it", () => {
  const text = fc.string({ unit: "binary" });
  fc.assert(
    fc.property(text, text, text, fc.option(text, { nil: undefined }), (event, channel, data, userId) => {
      const frame = JSON.parse(pusherFrame({ event, channel, data, userId }));

      expect(frame).toEqual({ event, channel, data, ...(userId !== undefined && { user_id: userId }) });
    }),
  );
});

test("a frame is parsed only if it is an object with an event", () => {
  expect(parsePusherFrame('{"event":"e","data":[1],"channel":3,"more":true}')).toEqual({
    event: "e",
    data: [1],
    channel: 3,
  });
  for (const text of ["", "null", "[]", "1", '"e"', "{}", '{"event":1}', '{"event":null}', "{", "[".repeat(60_000)]) {
    expect(parsePusherFrame(text)).toBeUndefined();
  }
  fc.assert(
    fc.property(fc.oneof(fc.json({ maxDepth: 1 }), fc.string()), (text) => {
      const frame = parsePusherFrame(text);
      if (frame !== undefined) expect(typeof frame.event).toBe("string");
    }),
    { numRuns: 10_000 },
  );
});

test("data of a command may be JSON text", () => {
  expect(commandData('{"channel":"a"}')).toEqual({ channel: "a" });
  expect(commandData({ channel: "a" })).toEqual({ channel: "a" });
  for (const data of [undefined, null, 1, [], "[]", "x", true]) expect(commandData(data)).toBeUndefined();
});

test("members are keys of the hash, also without information and with names of object properties", () => {
  const members = [
    { user: "__proto__", info: { name: "Ann" } },
    { user: "constructor", info: undefined },
  ];

  const text = presenceData(members);

  expect(text).toBe(
    '{"presence":{"ids":["__proto__","constructor"],"hash":{"__proto__":{"name":"Ann"},"constructor":null},"count":2}}',
  );
  expect(JSON.parse(presenceData([]))).toEqual({ presence: { ids: [], hash: {}, count: 0 } });
});

test("clients that receive the same list share its text", () => {
  let reads = 0;
  const member = {
    get user() {
      reads++;
      return "ann";
    },
    info: undefined,
  };
  const members = [member];

  const texts = [presenceData(members), presenceData(members), presenceData(members)];

  expect(new Set(texts).size).toBe(1);
  const once = reads;
  expect(presenceData([member])).toBe(texts[0]);
  expect(reads).toBe(2 * once);
});

test("each member that appears or disappears has a frame", () => {
  const frames = presenceFrames({
    topic: "app/shop/presence-a",
    joined: [
      { user: "1", info: { name: "Ann" } },
      { user: "2", info: undefined },
    ],
    left: [{ user: "3", info: undefined }],
    count: 2,
    isPartial: false,
  });

  expect(frames.map((frame) => JSON.parse(frame))).toEqual([
    {
      event: "pusher_internal:member_added",
      channel: "presence-a",
      data: '{"user_id":"1","user_info":{"name":"Ann"}}',
    },
    { event: "pusher_internal:member_added", channel: "presence-a", data: '{"user_id":"2"}' },
    { event: "pusher_internal:member_removed", channel: "presence-a", data: '{"user_id":"3"}' },
  ]);
});

test("watchlist events leave out empty lists", () => {
  expect(JSON.parse(watchlistEvents({ online: ["a"], offline: [] }))).toEqual({
    event: "pusher_internal:watchlist_events",
    data: '{"events":[{"name":"online","user_ids":["a"]}]}',
  });
});

test.each([
  ["protocol=7&client=js&version=8.6.0&flash=false", undefined],
  ["protocol=5", undefined],
  ["protocol=6&version=", undefined],
  ["", 4008],
  ["client=js", 4008],
  ["protocol=", 4008],
  ["protocol=4", 4007],
  ["protocol=8", 4007],
  ["protocol=seven", 4007],
  ["protocol=7.0", 4007],
  ["protocol=%ff", 4007],
  ["protocol=7&version=%00", 4006],
  [`protocol=7&version=${"1".repeat(101)}`, 4006],
  ["protocol=7&client=%ff", 4006],
])("the query %j is refused with %s", (query, code) => {
  expect(pusherQueryRefusal(query)?.code).toBe(code);
});
