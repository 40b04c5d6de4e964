import { readSettings } from "@fanwire/service";
import { expect, test } from "vitest";
import { busConfigFrom, sharedSettings } from "./settings.ts";

const read = (env: Record<string, string>) => busConfigFrom(readSettings(sharedSettings, env));

test("encryption is demanded by the scheme of any server, by a CA, and by a certificate of our own", () => {
  expect(read({}).tls).toBeUndefined();
  expect(read({ FANWIRE_NATS_URL: "nats://a:4222" }).tls).toBeUndefined();
  expect(read({ FANWIRE_NATS_URL: "nats://a:4222,tls://b:4222" }).tls).toEqual({});
  expect(read({ FANWIRE_NATS_URL: "a:4222", FANWIRE_NATS_TLS_CA_FILE: "/ca" }).tls).toEqual({ caFile: "/ca" });
});

test.each(["tls://127.0.0.1:4222", "tls://a:4222,10.0.0.1:4222", "tls://[::1]:4222"])(
  "encryption wants names, since an address is not checked against a certificate: %s",
  (url) => {
    expect(() => read({ FANWIRE_NATS_URL: url })).toThrow("the name in its certificate");
  },
);

test("addresses are fine without encryption", () => {
  expect(read({ FANWIRE_NATS_URL: "nats://127.0.0.1:4222,[::1]:4222" }).tls).toBeUndefined();
});
