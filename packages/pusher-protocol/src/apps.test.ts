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

  expect(app).toMatchObject({ namespace: "", clientEvents: false, maxEventBytes: 10_240, maxMembers: 100 });
  expect(app?.allowedOrigins).toEqual(["*"]);
  expect(pusherAppsFrom({}).all).toEqual([]);
});

test("several apps have namespaces of their own, and the one that is marked shares the topics of everybody else", () => {
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
