import { createHmac } from "node:crypto";
import type { ClusterEvent } from "@fanwire/protocol";
import { formatSocketId, pusherAppsFrom, webhookSignature } from "@fanwire/pusher-protocol";
import { expect, test } from "vitest";
import { fanwireEndpoint } from "./fanwire-format.ts";
import { pusherEndpoint } from "./pusher-format.ts";

const connection = { workerId: "abcd1234", connectionId: 7 };
const base = { id: "x-1", time: "2026-01-01T00:00:00.000Z" };

function pusherFormat(app: object, webhook: object = {}, others: readonly object[] = []) {
  const described = { id: "1", key: "k1", secret: "s1", ...app, webhooks: [{ url: "http://127.0.0.1/", ...webhook }] };
  const [parsed] = pusherAppsFrom({ FANWIRE_PUSHER_APPS: JSON.stringify([described, ...others]) }).all;
  if (parsed?.webhooks[0] === undefined) throw new Error("no app");
  const endpoint = pusherEndpoint(parsed, parsed.webhooks[0], "label", "id");
  const select = (event: Omit<ClusterEvent, "id" | "time">): unknown => {
    const entry = endpoint.select({ ...base, ...event });
    return entry === undefined ? undefined : JSON.parse(entry);
  };
  return { endpoint, select };
}

test("events have the names and fields of Pusher's webhooks", () => {
  const { select } = pusherFormat({ subscriptionCount: true });
  const topic = "presence-room";

  expect(select({ name: "topic_occupied", topic: "a" })).toEqual({ name: "channel_occupied", channel: "a" });
  expect(select({ name: "topic_vacated", topic: "a" })).toEqual({ name: "channel_vacated", channel: "a" });
  const added = { name: "member_added", channel: topic, user_id: "u" };
  expect(select({ name: "member_joined", topic, user: "u" })).toEqual(added);
  expect(select({ name: "member_left", topic, user: "u" })).toEqual({ ...added, name: "member_removed" });
  expect(select({ name: "cache_miss", topic: "cache-a" })).toEqual({ name: "cache_miss", channel: "cache-a" });
  const counted = { name: "subscription_count", channel: "a", subscription_count: 3 };
  expect(select({ name: "subscription_count", topic: "a", count: 3 })).toEqual(counted);
  expect(select({ name: "subscription_count", topic, count: 3 })).toBeUndefined();
  expect(select({ name: "connection_opened", connection: "abcd1234.7" })).toBeUndefined();
});

test("a client event has its data as a string, and the user on presence channels only", () => {
  const { select } = pusherFormat({});
  const published = { name: "client_published", event: "client-x", data: '{"a":1}', user: "u" } as const;
  const sent = { ...published, connection: "abcd1234.7" };
  const expected = { name: "client_event", event: "client-x", data: '{"a":1}', socket_id: formatSocketId(connection) };

  expect(select({ ...sent, topic: "private-a" })).toEqual({ ...expected, channel: "private-a" });
  expect(select({ ...sent, topic: "presence-a" })).toEqual({ ...expected, channel: "presence-a", user_id: "u" });
  expect(select({ ...sent, topic: "private-a", event: "message" })).toBeUndefined();
});

test("the id of a member is the one that clients see, also if it looks like a user of an app", () => {
  const { select } = pusherFormat({}, {}, [{ id: "2", key: "k2", secret: "s2" }]);
  const topic = "app/1/presence-a";

  for (const user of ["u", "app/1/x", "app/2/x"]) {
    expect(select({ name: "member_joined", topic, user })).toMatchObject({ channel: "presence-a", user_id: user });
    expect(select({ name: "member_left", topic, user })).toMatchObject({ user_id: user });
    expect(select({ name: "client_published", event: "client-x", topic, user })).toMatchObject({ user_id: user });
  }
});

test("a webhook receives only the configured events of the app's channels with its prefix", () => {
  const other = { id: "2", key: "k2", secret: "s2" };
  const { select } = pusherFormat({}, { prefix: "room-", events: ["channel_occupied"] }, [other]);

  expect(select({ name: "topic_occupied", topic: "app/1/room-1" })).toMatchObject({ channel: "room-1" });
  expect(select({ name: "topic_occupied", topic: "app/1/hall-1" })).toBeUndefined();
  expect(select({ name: "topic_occupied", topic: "app/2/room-1" })).toBeUndefined();
  expect(select({ name: "topic_occupied", topic: "room-1" })).toBeUndefined();
  expect(select({ name: "topic_vacated", topic: "app/1/room-1" })).toBeUndefined();
});

test("a webhook of Pusher is signed over its body, with header names in their case", () => {
  const { headers, body } = pusherFormat({}).endpoint.encode(['{"name":"a"}', '{"name":"b"}'], 1_700_000_000_000);

  expect(body).toBe('{"time_ms":1700000000000,"events":[{"name":"a"},{"name":"b"}]}');
  expect(headers).toEqual({
    "Content-Type": "application/json",
    "X-Pusher-Key": "k1",
    "X-Pusher-Signature": webhookSignature("s1", body),
  });
});

test("an endpoint of Fanwire's format receives wanted events as they are, signed over time and body", () => {
  const config = { url: "http://127.0.0.1/", secret: "0123456789abcdef", prefix: "orders.", batch: 10 };
  const endpoint = fanwireEndpoint({ ...config, events: ["topic_occupied"] }, "label", "id");
  const event: ClusterEvent = { ...base, name: "topic_occupied", topic: "orders.7" };
  const entry = endpoint.select(event) ?? "";

  expect(JSON.parse(entry)).toEqual(event);
  expect(endpoint.select({ ...event, topic: "news" })).toBeUndefined();
  expect(endpoint.select({ ...event, name: "topic_vacated" })).toBeUndefined();
  const { headers, body } = endpoint.encode([entry], 0);
  expect(JSON.parse(body)).toEqual({ events: [event] });
  const [, seconds, signature] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(headers["Fanwire-Signature"] ?? "") ?? [];
  const expected = createHmac("sha256", config.secret).update(`${seconds}.${body}`).digest("hex");
  expect(signature).toBe(expected);
  expect(Math.abs(Number(seconds) - Date.now() / 1_000)).toBeLessThan(5);
});
