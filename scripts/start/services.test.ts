import { expect, test } from "vitest";
import { adminAddress, serviceAddress, services } from "./services.ts";

const [pusher] = services;

test("addresses are read from the variables, and service links of Kubernetes are ignored", () => {
  if (pusher === undefined) throw new Error("no pusher");

  expect(serviceAddress(pusher, {})).toMatchObject({ host: "127.0.0.1", port: 4236 });
  expect(serviceAddress(pusher, { PUSHER_HOST: "::1", PUSHER_PORT: "8080" })).toMatchObject({
    host: "::1",
    port: 8080,
  });
  expect(serviceAddress(pusher, { PUSHER_PORT: "tcp://10.0.0.1:80" })).toMatchObject({ port: 4236 });
  expect(adminAddress(pusher, { PUSHER_ADMIN_PORT: "tcp://10.0.0.1:80" })).toMatchObject({ port: 9236 });
});
