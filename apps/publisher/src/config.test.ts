import { expect, test } from "vitest";
import { readConfig } from "./config.ts";

test("the defaults are for a development machine: loopback, no keys", () => {
  const config = readConfig({});

  expect(config).toMatchObject({ host: "127.0.0.1", port: 4237, adminHost: "127.0.0.1", adminPort: 9237, apiKeys: [] });
  expect(config).toMatchObject({
    maxBodyBytes: 10_485_760,
    maxBatch: 1_000,
    maxInFlight: 1_000,
    requestTimeoutMs: 2_000,
  });
  expect(Object.isFrozen(config)).toBe(true);
});

test("the API keys are a list", () => {
  const { apiKeys } = readConfig({ PUBLISHER_API_KEYS: "0123456789abcdef, fedcba9876543210" });

  expect(apiKeys).toEqual(["0123456789abcdef", "fedcba9876543210"]);
});

test("a short key is refused and not shown", () => {
  const read = () => readConfig({ PUBLISHER_API_KEYS: "0123456789abcdef,short-secret" });

  expect(read).toThrow(/PUBLISHER_API_KEYS: each key must be at least 16/);
  expect(read).not.toThrow(/secret/);
});

test("a key that only reads must be as long without its prefix, and must not be a full key too", () => {
  const read = (PUBLISHER_API_KEYS: string) => readConfig({ PUBLISHER_API_KEYS }).apiKeys;

  expect(read("read:0123456789abcdef,read:0123456789abcdef")).toHaveLength(2);
  expect(() => read("read:0123456789abcde")).toThrow(/at least 16/);
  expect(() => read("read: 0123456789abcdef")).toThrow(/at least 16/);
  expect(() => read("0123456789abcdef,read:0123456789abcdef")).toThrow(/both with and without the prefix/);
  expect(() => read("read:0123456789abcdef,0123456789abcdef")).not.toThrow(/0123456789abcdef/);
});

test("one error names all wrong settings", () => {
  const wrong = { PUBLISHER_PORT: "http", PUBLISHER_MAX_BATCH: "0", PUBLISHER_REQUEST_TIMEOUT_MS: "1.5" };

  for (const name of Object.keys(wrong)) expect(() => readConfig(wrong)).toThrow(name);
});

test("one body fits into the memory for all bodies", () => {
  const { maxBodyBytes, maxHeldBodyBytes } = readConfig({ PUBLISHER_MAX_BODY_BYTES: "134217728" });

  expect(maxBodyBytes).toBeLessThanOrEqual(maxHeldBodyBytes);
  expect(() => readConfig({ PUBLISHER_MAX_BODY_BYTES: "134217729" })).toThrow("PUBLISHER_MAX_BODY_BYTES");
});
