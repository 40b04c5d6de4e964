import { pusherAppsFrom } from "@fanwire/pusher-protocol";
import fc from "fast-check";
import { expect, test } from "vitest";
import { ApiError } from "../../http/errors.ts";
import { type Fields, readBatch, readEvent } from "./event-request.ts";

const apps = pusherAppsFrom({
  FANWIRE_PUSHER_APPS: JSON.stringify([
    { id: "1", key: "k1", secret: "s", namespace: "", maxEventBytes: 100 },
    { id: "2", key: "k2", secret: "s", maxEventBytes: 100 },
  ]),
});
const [app, other] = apps.all;
if (app === undefined || other === undefined) throw new Error("two apps are configured");

const event = { name: "n", data: "d", channels: ["a"] };
const read = (fields: Fields) => readEvent(app, fields);

function errorOf(act: () => unknown) {
  try {
    act();
  } catch (error) {
    if (error instanceof ApiError) return { code: error.code, message: error.message, details: error.details };
    throw error;
  }
  return undefined;
}

test("an event has one publication for each distinct channel, in their order", () => {
  const { channels, content, event: name, except, info } = read({ ...event, channels: ["b", "a", "b"], data: "" });

  expect(channels.map(({ target }) => target)).toEqual([
    { kind: "topic", topic: "b" },
    { kind: "topic", topic: "a" },
  ]);
  expect([name, content.length, except, info]).toEqual(["n", 0, undefined, undefined]);
});

test("a single channel may be given as text", () => {
  const fields = { name: "n", data: "d", channel: "cache-a", channels: null };

  expect(read(fields).channels).toEqual([
    { name: "cache-a", target: { kind: "topic", topic: "cache-a" }, isCache: true },
  ]);
});

test("topics and users are those of the app's namespace", () => {
  const channels = ["private-a", "#server-to-user-ü/1 #"];

  expect(readEvent(other, { ...event, channels }).channels.map(({ target }) => target)).toEqual([
    { kind: "topic", topic: "app/2/private-a" },
    { kind: "user", user: "app/2/ü/1 #" },
  ]);
});

test("a socket id names a connection, and one that none of ours has is ignored", () => {
  const socketId = `${Number.parseInt("k3v9x2ab", 36)}.17`;

  expect(read({ ...event, socket_id: socketId }).except).toEqual({ workerId: "k3v9x2ab", connectionId: 17 });
  for (const id of ["1.1", "4711.815", null]) expect(read({ ...event, socket_id: id }).except).toBeUndefined();
});

test("info has the attributes that some of the channels have", () => {
  const channels = ["presence-a", "b"];

  expect(read({ ...event, channels, info: "user_count, subscription_count" }).info).toEqual(
    new Set(["user_count", "subscription_count"]),
  );
  expect(read({ ...event, channels, info: "user_count" }).info).toEqual(new Set(["user_count"]));
  expect(read({ ...event, info: "" }).info).toBeUndefined();
});

const many = (count: number) => Array.from({ length: count }, (_, at) => `c${at}`);

test("the limits are 100 channels, 200 characters for names and the app's bytes for data", () => {
  for (const fields of [
    { channels: many(100) },
    { name: "n".repeat(200) },
    { channels: ["c".repeat(200)] },
    { data: "d".repeat(100) },
    { data: "ü".repeat(50) },
    { name: "события" },
    { channels: ["private-encrypted-a", "private-encrypted-a", "b"] },
  ]) {
    expect(errorOf(() => read({ ...event, ...fields }))).toBeUndefined();
  }
  for (const data of ["d".repeat(101), "ü".repeat(51)]) {
    expect(errorOf(() => read({ ...event, data }))).toMatchObject({
      code: "event_too_large",
      details: [{ field: "data" }],
    });
  }
});

test.each([
  ["name", "is no text", [undefined, 7, {}]],
  ["name", "is empty or too long", ["", "n".repeat(201)]],
  ["name", "is reserved", ["pusher:ping", "pusher_internal:member_added", "fanwire.closing"]],
  ["name", "has characters that no header carries", ["a\nb", " a", "a\ud800"]],
  ["data", "is no text", [undefined, null, { a: 1 }, 7, "\udc00"]],
  ["channels", "is no list", [undefined, {}, "a"]],
  ["channels", "is empty or too long", [[], many(101)]],
  ["channels", "has another channel beside an encrypted one", [["private-encrypted-a", "private-encrypted-b"]]],
  ["channels[0]", "is no text", [[7], [{}], [["a"]]]],
  ["channels[0]", "is no name of a channel", [["a".repeat(201)], ["a/b"], [">"], ["#a"]]],
  ["channels[1]", "is empty", [["a", ""]]],
  ["channels[1]", "has a space", [["a", "b c"]]],
  ["channels[0]", "names no user", [["#server-to-user-"], ["#server-to-user-\ud800"]]],
  ["channels[0]", "names a user that is too long", [[`#server-to-user-${"u".repeat(256)}`]]],
  ["channels[0]", "names a user of another app", [["#server-to-user-app/2/u"]]],
  ["socket_id", "is no socket id", ["", "a.b", "1", 1.2]],
  ["info", "is no list of attributes", [7, "foo"]],
  ["info", "has an attribute that the channel does not have", ["cache", "user_count"]],
] as const)("an event is refused if its %s %s", (field, _reason, values) => {
  for (const value of values) {
    const error = errorOf(() => read({ ...event, [field.replace(/\[.*/, "")]: value }));

    expect(error, JSON.stringify(value)).toMatchObject({ code: "invalid_pusher_request", details: [{ field }] });
    expect(error?.message).toContain(`\`${field}\``);
  }
});

test("channel and channels exclude each other", () => {
  expect(errorOf(() => read({ ...event, channel: "a" }))).toMatchObject({ code: "invalid_pusher_request" });
});

test("a batch has 1 to 10 events with a channel each, and the error names the first that is not valid", () => {
  const item = { channel: "a", name: "n", data: "d" };
  const batchOf = (batch: unknown) => () => readBatch(app, { batch });

  expect(readBatch(app, { batch: Array(10).fill(item) })).toHaveLength(10);
  for (const batch of [undefined, null, {}, "a", [], Array(11).fill(item)]) {
    expect(errorOf(batchOf(batch))).toMatchObject({ details: [{ field: "batch" }] });
  }
  expect(errorOf(batchOf([item, null]))).toMatchObject({ details: [{ field: "batch[1]" }] });
  expect(errorOf(batchOf([item, { ...item, channel: 7 }]))).toMatchObject({
    details: [{ index: 1, field: "channel" }],
  });
  expect(errorOf(batchOf([item, { name: "n", data: "d", channels: ["a"] }]))).toMatchObject({
    details: [{ index: 1, field: "channel" }],
  });
  expect(errorOf(batchOf([item, { ...item, data: "d".repeat(101) }]))).toMatchObject({
    code: "event_too_large",
    details: [{ index: 1, field: "data" }],
  });
});

test("no JSON throws anything but an ApiError, or leads out of the app's topics and users", () => {
  const value = fc.oneof(fc.jsonValue(), fc.string({ unit: "binary" }));
  const channel = fc.oneof(
    value,
    fc.string({ unit: "binary" }).map((text) => `#server-to-user-${text}`),
    fc.stringMatching(/^[A-Za-z0-9_\-=@,.;*>/#]{1,20}$/),
  );
  const fields = fc.record(
    {
      name: fc.oneof(value, fc.constant("n")),
      data: value,
      channels: fc.array(channel),
      channel,
      socket_id: value,
      info: value,
    },
    { requiredKeys: ["name", "data"] },
  );

  fc.assert(
    fc.property(fields, (given) => {
      try {
        for (const { target } of readEvent(other, given).channels) {
          expect(target.kind === "topic" ? target.topic : target.user).toMatch(/^app\/2\//);
        }
      } catch (error) {
        expect(error).toBeInstanceOf(ApiError);
      }
    }),
  );
});
