import { ConfigError, readSettings } from "@fanwire/service";
import { expect, test } from "vitest";
import { busConfigFrom, sharedSettings } from "./settings.ts";

const read = (env: Record<string, string>) => busConfigFrom(readSettings(sharedSettings, env));

test.each([
  ["nats://nats-1:4222, nats://nats-2:4222/", ["nats://nats-1:4222", "nats://nats-2:4222/"]],
  ["nats-1:4222,my_nats", ["nats-1:4222", "my_nats"]],
  ["[::1]:4222,::1,nats://[fd00::7]", ["[::1]:4222", "::1", "nats://[fd00::7]"]],
  ["tls://nats.internal:4222", ["tls://nats.internal:4222"]],
  ["", ["nats://127.0.0.1:4222"]],
])("servers are hosts with or without scheme and port: %j", (url, servers) => {
  expect(read({ FANWIRE_NATS_URL: url }).servers).toEqual(servers);
});

test.each([
  ["nats://app:s3cret@nats:4222", "FANWIRE_NATS_USER"],
  ["nats://app:123abc@nats:4222", "FANWIRE_NATS_USER"],
  ["nats://app:12#s3cret@nats:4222", "FANWIRE_NATS_USER"],
  ["nats://nats-1:4222,nats://s3cret@nats-2:4222", "FANWIRE_NATS_USER"],
  ["nats://app:s3cret", "such as nats://nats-1:4222"],
  ["nats://", "such as nats://nats-1:4222"],
  ["nats:99999", "such as nats://nats-1:4222"],
  [",", "must have an entry"],
])("a text that is no list of servers is refused and not repeated: %s", (url, help) => {
  expect(() => read({ FANWIRE_NATS_URL: url })).toThrow(ConfigError);
  expect(() => read({ FANWIRE_NATS_URL: url })).toThrow(help);
  expect(() => read({ FANWIRE_NATS_URL: url })).not.toThrow(/s3cret|123abc/);
});

test("encryption is demanded by the scheme of any server, by a CA, and by a certificate of our own", () => {
  expect(read({}).tls).toBeUndefined();
  expect(read({ FANWIRE_NATS_URL: "nats://a:4222,nats://127.0.0.1:4222,[::1]:4222" }).tls).toBeUndefined();
  expect(read({ FANWIRE_NATS_URL: "nats://a:4222,tls://b:4222" }).tls).toEqual({});
  expect(read({ FANWIRE_NATS_URL: "a:4222", FANWIRE_NATS_TLS_CA_FILE: "/ca" }).tls).toEqual({ caFile: "/ca" });
});

test.each(["tls://127.0.0.1:4222", "tls://a:4222,10.0.0.1:4222", "tls://[::1]:4222"])(
  "encryption wants names, since an address is not checked against a certificate: %s",
  (url) => {
    expect(() => read({ FANWIRE_NATS_URL: url })).toThrow("the name in its certificate");
  },
);
