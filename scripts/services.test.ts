import { expect, test } from "vitest";
import { adminAddress, serviceAddress, services } from "./services.ts";

const [pusher] = services;

test("the variables say where a service is, and what Kubernetes writes into them does not", () => {
  if (pusher === undefined) throw new Error("there is no pusher");

  expect(serviceAddress(pusher, {})).toMatchObject({ host: "127.0.0.1", port: 4236 });
  expect(serviceAddress(pusher, { PUSHER_HOST: "::1", PUSHER_PORT: "8080" })).toMatchObject({
    host: "::1",
    port: 8080,
  });
  expect(serviceAddress(pusher, { PUSHER_PORT: "tcp://10.0.0.1:80" })).toMatchObject({ port: 4236 });
  expect(adminAddress(pusher, { PUSHER_ADMIN_PORT: "tcp://10.0.0.1:80" })).toMatchObject({ port: 9236 });
});
