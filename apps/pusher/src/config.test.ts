import { ConfigError } from "@fanwire/service";
import { expect, test } from "vitest";
import { readConfig } from "./config.ts";

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

test("an empty greeting means none, other empty variables count as absent", () => {
  const config = readConfig({ PUSHER_GREETING: "", PUSHER_PORT: "", PUSHER_WORKERS: "" });

  expect(config.greeting).toBe("");
  expect(config.port).toBe(4236);
});

test("one message names every wrong variable", () => {
  const read = () =>
    readConfig({
      PUSHER_PORT: "abc",
      PUSHER_WORKERS: "0",
      PUSHER_IDLE_SECONDS: "5",
      FANWIRE_PREFIX: "a.*",
      FANWIRE_LOG_LEVEL: "loud",
    });

  expect(read).toThrow(ConfigError);
  for (const name of ["PUSHER_PORT", "PUSHER_WORKERS", "PUSHER_IDLE_SECONDS", "FANWIRE_PREFIX", "FANWIRE_LOG_LEVEL"]) {
    expect(read).toThrow(name);
  }
});

test("contradicting credentials are refused", () => {
  expect(() => readConfig({ FANWIRE_NATS_USER: "a" })).toThrow("go together");
  expect(() => readConfig({ FANWIRE_NATS_TOKEN: "t", FANWIRE_NATS_CREDS_FILE: "/x" })).toThrow("not several");
  expect(() => readConfig({ FANWIRE_NATS_TLS_KEY_FILE: "/x" })).toThrow("go together");
});
