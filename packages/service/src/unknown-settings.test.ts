import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { knownSettings } from "./known-settings.ts";
import { unknownSettings } from "./unknown-settings.ts";

const unknown = (env: Record<string, string>) => unknownSettings(env, knownSettings);

test.each([
  ["PUSHER_TOKEN_SECRT", "PUSHER_TOKEN_SECRET"],
  ["PUSHER_TOKENSECRET", "PUSHER_TOKEN_SECRET"],
  ["pusher_token_secret", "PUSHER_TOKEN_SECRET"],
  ["FANWIRE_PUSHER_TOKEN_SECRET", "PUSHER_TOKEN_SECRET"],
  ["PUBLISHER_API_KEY", "PUBLISHER_API_KEYS"],
  ["CHANNEL_ALLOWED_NETWORK", "CHANNEL_ALLOWED_NETWORKS"],
  ["FANWIRE_NATS_URLS", "FANWIRE_NATS_URL"],
  ["FANWIRE_LOG_MAX_AGE_SECONDS", "FANWIRE_HISTORY_MAX_AGE_SECONDS"],
  ["PUSHER_HOSTS", "PUSHER_HOST"],
  ["PUBLISHER_KEYS", "PUBLISHER_API_KEYS"],
  ["PUBLISHER_KEY", "PUBLISHER_API_KEYS"],
  ["PUSHER_SECRET", "PUSHER_TOKEN_SECRET"],
  ["PUSHER_ORIGINS", "PUSHER_ALLOWED_ORIGINS"],
  ["CHANNEL_NETWORKS", "CHANNEL_ALLOWED_NETWORKS"],
  ["PUSHER_TOKEN_KEY_FILE", "PUSHER_TOKEN_PUBLIC_KEY_FILE"],
])("%s is unknown, and the nearest known name is %s", (name, nearest) => {
  expect(unknown({ [name]: "x" })).toEqual([{ name, nearest }]);
});

test("a known variable of any service, an empty one and one without our prefixes is not reported", () => {
  const env = {
    PUSHER_TOKEN_SECRET: "x",
    PUBLISHER_API_KEYS: "x",
    CHANNEL_PORT: "2206",
    FANWIRE_NATS_URL: "x",
    PUSHER_TOKEN_SECRT: "",
    PATH: "/bin",
    PUSHERS: "x",
    FANWIRE: "x",
  };

  expect(unknown(env)).toEqual([]);
});

test("the variables that Kubernetes writes for its services are not reported", () => {
  const env = {
    PUSHER_SERVICE_HOST: "10.0.0.1",
    PUSHER_SERVICE_PORT: "4236",
    PUSHER_SERVICE_PORT_HTTP: "4236",
    PUSHER_PORT: "tcp://10.0.0.1:4236",
    PUSHER_PORT_4236_TCP: "tcp://10.0.0.1:4236",
    PUSHER_PORT_4236_TCP_PROTO: "tcp",
    PUSHER_PORT_4236_TCP_PORT: "4236",
    PUSHER_PORT_4236_TCP_ADDR: "10.0.0.1",
    PUSHER_ADMIN_PORT: "tcp://10.0.0.2:9236",
    PUSHER_METRICS_PORT: "tcp://10.0.0.2:9236",
    FANWIRE_PORT: "udp://10.0.0.3:53",
    FANWIRE_NATS_SERVICE_HOST: "10.0.0.4",
    FANWIRE_PUBLISHER_SERVICE_PORT_API_V1: "4237",
  };

  expect(unknown(env)).toEqual([]);
});

test("the variables of Laravel, of the tests, of the compose file and of the command line are not reported", () => {
  const env = {
    PUSHER_APP_ID: "1",
    PUSHER_APP_KEY: "x",
    PUSHER_APP_SECRET: "x",
    PUSHER_APP_CLUSTER: "mt1",
    PUSHER_HOST: "127.0.0.1",
    PUSHER_SCHEME: "http",
    FANWIRE_TEST_BUILT: "1",
    FANWIRE_CHAOS_SEED: "5",
    FANWIRE_RECOVERY_SEED: "5",
    FANWIRE_DAMAGE_SEED: "5",
    FANWIRE_STOP_GRACE: "30s",
    FANWIRE_PUSHER_BIND: "0.0.0.0",
    FANWIRE_APPS_PORT: "6001",
    FANWIRE_PUBLISHER_PORT: "4237",
    FANWIRE_NATS_SERVER: "/usr/sbin/nats-server",
    FANWIRE_NATS_PORT: "4222",
    FANWIRE_API_URL: "http://127.0.0.1:4237",
    FANWIRE_API_KEY: "x",
    FANWIRE_CLIENT_URL: "ws://127.0.0.1:4236",
    FANWIRE_TOKEN: "x",
  };

  expect(unknown(env)).toEqual([]);
});

test("a name or value that only contains one of theirs is reported", () => {
  const env = {
    FANWIRE_PUSHER_APP_KEY: "x",
    PUSHER_URLS: "x",
    PUSHER_FANWIRE_TEST_BUILT: "x",
    "FANWIRE_TEST_A-B": "x",
    PUSHER_FANWIRE_STOP_GRACE: "x",
    FANWIRE_STOP_GRACES: "x",
    PUSHER_FANWIRE_APPS_PORT: "x",
    FANWIRE_APPS_PORTS: "x",
    PUSHER_FANWIRE_TOKEN: "x",
    FANWIRE_TOKENS: "x",
    PUSHER_SERVICE_HOSTS: "x",
    PUSHER_METRICS_PORT: "a tcp://10.0.0.1",
    FANWIRE_NATS_URLS: "tcp://10.0.0.1",
  };

  expect(unknown(env).map(({ name }) => name)).toEqual(Object.keys(env));
});

test("no variable that the compose file reads is reported, because services may share its file of variables", () => {
  const compose = readFileSync(new URL("../../../docker-compose.yml", import.meta.url), "utf8");
  const names = [...compose.matchAll(/\$\{([A-Z_]+)/g)].map(([, name = ""]) => [name, "x"] as const);

  expect(names.length).toBeGreaterThan(20);
  expect(unknown(Object.fromEntries(names))).toEqual([]);
});
