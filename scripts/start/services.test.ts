import { expect, test } from "vitest";
import { adminAddress, pusherExamples, serviceAddress, services, shownAddress } from "./services.ts";

const [pusher = expect.fail("no pusher"), publisher = expect.fail("no publisher")] = services;

test("addresses are read from the variables, and service links of Kubernetes are ignored", () => {
  expect(serviceAddress(pusher, {})).toMatchObject({ host: "127.0.0.1", port: 4236 });
  expect(serviceAddress(pusher, { PUSHER_HOST: "::1", PUSHER_PORT: "8080" })).toMatchObject({
    host: "::1",
    port: 8080,
  });
  expect(serviceAddress(pusher, { PUSHER_PORT: "tcp://10.0.0.1:80" })).toMatchObject({ port: 4236 });
  expect(adminAddress(pusher, { PUSHER_ADMIN_PORT: "tcp://10.0.0.1:80" })).toMatchObject({ port: 9236 });
});

test("IPv6 addresses are shown in brackets", () => {
  const env = { PUSHER_HOST: "::1", PUBLISHER_HOST: "fd00::7", FANWIRE_PUSHER_APPS: '[{"id":"1","key":"k"}]' };
  const address = serviceAddress(publisher, env) ?? expect.fail("no address");

  expect(shownAddress(address)).toBe("[fd00::7]:4237");
  expect(publisher.urls(shownAddress(address), env).join("\n")).toContain("?pusher=ws://[::1]:4236/ ");
  expect(pusherExamples(env).join("\n")).toContain('wsHost: "[::1]", wsPort: 4236');
});
