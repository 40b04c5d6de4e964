import { ConfigError } from "@fanwire/service";
import { expect, test } from "vitest";
import { configWarnings, readConfig } from "./config.ts";

test("an empty environment gives the documented defaults", () => {
  const config = readConfig({});

  expect(config).toMatchObject({
    host: "0.0.0.0",
    port: 4236,
    adminHost: "127.0.0.1",
    adminPort: 9236,
    drainMs: 10_000,
  });
  expect(config.greeting).toBe("workerID:{worker} connectionID:{connection} подключено\n");
  expect(config.bus).toMatchObject({
    servers: ["nats://127.0.0.1:4222"],
    prefix: "fanwire",
    credentials: { kind: "none" },
  });
  expect(config.workers).toBeGreaterThanOrEqual(1);
  expect(Object.isFrozen(config)).toBe(true);
});

test("an empty greeting means none, other empty variables and those of Kubernetes and Laravel count as absent", () => {
  const env = { PUSHER_GREETING: "", PUSHER_WORKERS: "", PUSHER_HOST: "", PUSHER_ADMIN_PORT: "", PUSHER_APP_KEY: "x" };
  const config = readConfig({ ...env, PUSHER_PORT: "tcp://10.0.0.1:4236" });

  expect(config).toMatchObject({ greeting: "", host: "0.0.0.0", port: 4236, adminPort: 9236 });
});

test("one message names every wrong variable", () => {
  const workers = { PUSHER_PORT: "abc", PUSHER_WORKERS: "0", PUSHER_IDLE_SECONDS: "5" };
  const wrong = { ...workers, FANWIRE_PREFIX: "a.*", FANWIRE_LOG_LEVEL: "loud" };
  const read = () => readConfig(wrong);

  expect(read).toThrow(ConfigError);
  for (const name of Object.keys(wrong)) expect(read).toThrow(name);
});

test("contradicting credentials are refused", () => {
  expect(() => readConfig({ FANWIRE_NATS_USER: "a" })).toThrow("go together");
  expect(() => readConfig({ FANWIRE_NATS_TOKEN: "t", FANWIRE_NATS_CREDS_FILE: "/x" })).toThrow("not several");
  expect(() => readConfig({ FANWIRE_NATS_TLS_KEY_FILE: "/x" })).toThrow("go together");
});

test("malformed origins are refused in one message that names what to write", () => {
  const read = () => readConfig({ PUSHER_ALLOWED_ORIGINS: "https://a.example/, b.example, https://c.example" });

  expect(read).toThrow(
    "PUSHER_ALLOWED_ORIGINS: write https://a.example, as browsers send it, instead of https://a.example/; write https://b.example: b.example has no scheme",
  );
});

test("a pusher without a token key warns unless it listens on loopback only", () => {
  const warnings = (env: Record<string, string>) => configWarnings(readConfig(env));

  expect(warnings({})).toEqual([expect.stringContaining("authentication is off")]);
  expect(warnings({ PUSHER_HOST: "::" })).toHaveLength(1);
  expect(warnings({ PUSHER_HOST: "127.0.0.1" })).toEqual([]);
  expect(warnings({ PUSHER_TOKEN_SECRET: "a secret of more than thirty-two bytes" })).toEqual([]);
});

test("origins of apps are checked as those of the pusher", () => {
  const withOrigin = (origin: string) =>
    readConfig({
      FANWIRE_PUSHER_APPS: JSON.stringify([{ id: "1", key: "k", secret: "s", allowedOrigins: [origin] }]),
    });

  expect(() => withOrigin("app.example")).toThrow(/app 1: write https:\/\/app\.example/);
  expect(withOrigin("https://app.example").pusherApps.all).toHaveLength(1);
});
