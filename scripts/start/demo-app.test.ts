import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { pusherAppsFrom } from "../../packages/pusher-protocol/src/index.ts";
import { temporaryFolder } from "../testing.ts";
import { pusherLines, readPusherApps, withPusherApps } from "./demo-app.ts";
import { services, wantedServices } from "./services.ts";

const addresses = { pusher: "localhost:4236", publisher: "localhost:4237" };
let folder: string;
let path: string;

beforeEach(() => {
  folder = temporaryFolder();
  path = join(folder, "below", "pusher-apps.json");
});

test("without apps a demo app is generated, which the services accept and only its owner can read", async () => {
  const env = await withPusherApps({ FANWIRE_PUSHER_APPS: "", HOME: "/x" }, path);

  expect(env).toEqual({ FANWIRE_PUSHER_APPS: "", HOME: "/x", FANWIRE_PUSHER_APPS_FILE: path });
  const [app] = pusherAppsFrom({ FANWIRE_PUSHER_APPS_FILE: path }).all;
  expect(app).toMatchObject({ id: "1001", namespace: "", clientEvents: true });
  expect(app?.key).toMatch(/^[0-9a-f]{20}$/);
  expect(app?.secret).toMatch(/^[0-9a-f]{40}$/);
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test("the demo app stays the same", async () => {
  await withPusherApps({}, path);
  const first = readFileSync(path, "utf8");

  await withPusherApps({}, path);

  expect(readFileSync(path, "utf8")).toBe(first);
});

test.each([{ FANWIRE_PUSHER_APPS: "[]" }, { FANWIRE_PUSHER_APPS_FILE: "/etc/apps.json" }])(
  "configured apps are left alone: %j",
  async (env) => {
    expect(await withPusherApps(env, path)).toBe(env);
    expect(() => readFileSync(path)).toThrow("ENOENT");
  },
);

test("the lines to try name key and addresses, and never the secret", async () => {
  const env = await withPusherApps({}, path);
  const [app] = pusherAppsFrom({ FANWIRE_PUSHER_APPS_FILE: path }).all;

  const lines = pusherLines(env, addresses).join("\n");

  expect(lines).toContain(`new Pusher("${app?.key}", { wsHost: "localhost", wsPort: 4236, forceTLS: false,`);
  expect(lines).toContain("curl http://localhost:4237/v1/publications");
  expect(lines).toContain(`"target":{"topic":"orders"}`);
  expect(lines).toContain(`host localhost, port 4237, app id 1001, key ${app?.key}, secret in ${path}`);
  expect(lines).not.toContain(app?.secret);
});

test("the lines to try use the namespace of the first app, and the API key of the publisher", () => {
  const apps = [
    { id: "7", key: "k7", secret: "s7" },
    { id: "8", key: "k8", secret: "s8" },
  ];
  const env = { FANWIRE_PUSHER_APPS: JSON.stringify(apps), PUBLISHER_API_KEYS: "x" };

  const lines = pusherLines(env, addresses).join("\n");

  expect(lines).toContain(`"target":{"topic":"app/7/orders"}`);
  expect(lines).toContain("Authorization: Bearer …");
  expect(lines).not.toMatch(/s7|s8/);
});

test.each(["[]", "{", "7", '[{"id":7}]'])("without a readable app there are no lines: %s", (apps) => {
  expect(pusherLines({ FANWIRE_PUSHER_APPS: apps }, addresses)).toEqual([]);
  expect(readPusherApps({ FANWIRE_PUSHER_APPS_FILE: join(folder, "missing") })).toEqual([]);
});

test("webhooks are wanted by an endpoint or an app", () => {
  writeFileSync(join(folder, "apps.json"), '[{"id":"1","key":"k","secret":"s","webhooks":[{"url":"http://x/"}]}]');
  const isWanted = services.find(({ name }) => name === "webhooks")?.isWanted;

  expect(isWanted?.({})).toBe(false);
  expect(isWanted?.({ FANWIRE_PUSHER_APPS: '[{"id":"1","key":"k","secret":"s"}]' })).toBe(false);
  expect(isWanted?.({ FANWIRE_PUSHER_APPS_FILE: join(folder, "apps.json") })).toBe(true);
  expect(isWanted?.({ WEBHOOKS_ENDPOINTS: "[…]" })).toBe(true);
  expect(wantedServices(folder, {})).toEqual([]);
});
