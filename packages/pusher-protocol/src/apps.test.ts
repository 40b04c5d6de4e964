import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { pusherAppsFrom } from "./apps.ts";

const one = { id: "1", key: "key-1", secret: "secret-1" };
const other = { id: "2", key: "key-2", secret: "secret-2" };
const read = (...apps: object[]) => pusherAppsFrom({ FANWIRE_PUSHER_APPS: JSON.stringify(apps) });

test("an app needs an id, a key and a secret, and has safe defaults", () => {
  const [app] = read(one).all;

  expect(app).toEqual({
    ...{ ...one, namespace: "", keys: [{ key: "key-1", secret: "secret-1" }], previousKeys: [] },
    ...{ clientEvents: false, clientEventsPerSecond: 10, maxEventBytes: 10_240, maxMembers: 100 },
    ...{ watchlist: false, subscriptionCount: false, authorizedWithinSeconds: 0, allowedOrigins: ["*"] },
    ...{ terminateCode: 4009, webhooks: [] },
  });
  expect(pusherAppsFrom({}).all).toEqual([]);
});

test("several apps have namespaces of their own, and the one with an empty namespace shares its topics with all other clients", () => {
  expect(read(one, other).all.map(({ namespace }) => namespace)).toEqual(["1", "2"]);
  expect(read({ ...one, namespace: "" }, other).all.map(({ namespace }) => namespace)).toEqual(["", "2"]);
});

test("apps are found by id, key and previous key", () => {
  const apps = read({ ...one, previousKeys: [{ key: "older", secret: "s" }] }, other);

  expect(apps.withId("2")?.key).toBe("key-2");
  expect(apps.withKey("key-1")?.id).toBe("1");
  expect(apps.withKey("older")?.id).toBe("1");
  expect(apps.withKey("unknown")).toBeUndefined();
});

test("apps are read from a file", () => {
  const path = join(mkdtempSync(join(tmpdir(), "apps-")), "apps.json");
  writeFileSync(path, JSON.stringify([one]));

  expect(pusherAppsFrom({ FANWIRE_PUSHER_APPS_FILE: path }).all).toHaveLength(1);
  expect(() => pusherAppsFrom({ FANWIRE_PUSHER_APPS_FILE: `${path}.missing` })).toThrow("FANWIRE_PUSHER_APPS_FILE");
  expect(() => pusherAppsFrom({ FANWIRE_PUSHER_APPS: "[]", FANWIRE_PUSHER_APPS_FILE: path })).toThrow("not both");
});

test("a webhook needs an HTTP address, and wants all events of all channels unless it names some", () => {
  const webhook = (fields: object) => read({ ...one, webhooks: [{ url: "http://a/", ...fields }] }).all[0]?.webhooks[0];

  expect(webhook({})).toMatchObject({ prefix: "", events: { length: 7 } });
  expect(webhook({ url: "https://a/", prefix: "p-", events: ["cache_miss"] })).toEqual({
    ...{ url: "https://a/", prefix: "p-", events: ["cache_miss"] },
  });
  for (const fields of [{ url: "ftp://a/" }, { url: "xhttp://a/" }, { url: "httpx://a/" }, { events: [] }, { x: 1 }]) {
    expect(() => webhook(fields), JSON.stringify(fields)).toThrow("FANWIRE_PUSHER_APPS is wrong");
  }
});

test.each([
  [{ clientEventsPerSecond: 10_000, maxEventBytes: 1_048_576, maxMembers: 1_000_000, maxConnections: 100_000_000 }],
  [{ clientEventsPerSecond: 1, maxEventBytes: 1, maxMembers: 1, maxConnections: 1, authorizedWithinSeconds: 3_600 }],
  [{ namespace: "a-Z_9".padEnd(40, "x"), terminateCode: 4200, secret: "!~" }],
])("the bounds of an app are accepted, and nothing beyond them: %j", (fields: Record<string, number | string>) => {
  expect(read({ ...one, ...fields }).all[0]).toMatchObject(fields);
  for (const [name, value] of Object.entries(fields)) {
    const beyond = typeof value === "string" ? [`${value} `, ` ${value}`] : [value === 1 ? 0 : value + 1, value + 0.5];
    for (const each of beyond) expect(() => read({ ...one, [name]: each }), `${name} ${each}`).toThrow(`0.${name}`);
  }
});

test("wrong apps are named without their secrets", () => {
  expect(() => read({ ...one, clientEvent: true })).toThrow(/0: .*clientEvent/);
  expect(() => read({ id: "1", key: "k" })).toThrow("0.secret");
  expect(() => read({ ...one, key: "a:b" })).toThrow("0.key");
  expect(() => read(one, { ...other, key: "key-1" })).toThrow('two apps have the key "key-1"');
  expect(() => read(one, { ...other, id: "1" })).toThrow('the id "1"');
  expect(() => read({ ...one, namespace: "" }, { ...other, namespace: "" })).toThrow('the namespace ""');
  expect(() => pusherAppsFrom({ FANWIRE_PUSHER_APPS: '[{"secret":"hidden"' })).toThrow(
    /^FANWIRE_PUSHER_APPS is not JSON\.$/,
  );
});
