import { ConfigError } from "@fanwire/service";
import { expect, test } from "vitest";
import { configWarnings, readConfig } from "./config.ts";

const endpoint = { url: "https://app.example/hook", secret: "0123456789abcdef" };
const app = { id: "1", key: "k", secret: "s", webhooks: [{ url: "http://127.0.0.1/" }] };

test("without events the configuration is valid, with a warning that nothing happens", () => {
  const config = readConfig({});

  expect(config).toMatchObject({ adminHost: "127.0.0.1", adminPort: 9238, endpoints: [], replicas: 1 });
  expect(configWarnings(config)).toEqual([expect.stringContaining("FANWIRE_EVENTS")]);
});

test("webhooks of apps turn on the events that they need", () => {
  const config = readConfig({ FANWIRE_PUSHER_APPS: JSON.stringify([app]) });

  const needed = ["topic_occupied", "topic_vacated", "member_joined", "member_left", "client_published", "cache_miss"];
  expect([...config.wanted]).toEqual(needed);
  expect(config.endpoints.map(({ label }) => label)).toEqual(["app-1-1"]);
  expect(configWarnings(config)).toEqual([]);
});

test("an endpoint that names an event which pushers do not report causes a warning", () => {
  const WEBHOOKS_ENDPOINTS = JSON.stringify([{ ...endpoint, events: ["topic_occupied", "connection_opened"] }]);
  const config = readConfig({ WEBHOOKS_ENDPOINTS, FANWIRE_EVENTS: "topic_occupied" });

  expect(configWarnings(config)).toEqual([expect.stringContaining("do not report connection_opened:")]);
});

test("ids of endpoints are stable and differ", () => {
  const webhooks = [
    { url: "http://127.0.0.1/" },
    { url: "http://127.0.0.1/" },
    { url: "http://127.0.0.1/", prefix: "a" },
  ];
  const idsOf = (secret: string) =>
    readConfig({ FANWIRE_PUSHER_APPS: JSON.stringify([{ ...app, secret, webhooks }]) }).endpoints.map(({ id }) => id);

  expect(new Set(idsOf("s")).size).toBe(3);
  expect(idsOf("another")).toEqual(idsOf("s"));
});

test.each([
  ["no JSON", "{"],
  ["another protocol", JSON.stringify([{ ...endpoint, url: "ftp://app.example/" }])],
  ["a short secret", JSON.stringify([{ ...endpoint, secret: "short" }])],
  ["an unknown event", JSON.stringify([{ ...endpoint, events: ["topic_opened"] }])],
  ["an unknown member", JSON.stringify([{ ...endpoint, topics: [">"] }])],
])("WEBHOOKS_ENDPOINTS with %s is refused without its secret", (_, json) => {
  const read = () => readConfig({ WEBHOOKS_ENDPOINTS: json });

  expect(read).toThrow(ConfigError);
  expect(read).toThrow("WEBHOOKS_ENDPOINTS");
  expect(read).not.toThrow(/0123456789abcdef/);
});

test("an unknown name in FANWIRE_EVENTS is refused", () => {
  expect(() => readConfig({ FANWIRE_EVENTS: "topic_opened" })).toThrow(/FANWIRE_EVENTS: must be names of/);
});
