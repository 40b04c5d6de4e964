import { expect, test } from "vitest";
import { startPusher } from "../support/cluster.ts";
import { startService } from "../support/process.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const { nats } = useCluster();

test.each(["pusher", "publisher", "channel", "webhooks"] as const)(
  "%s logs one warning about a misspelt variable",
  async (app) => {
    const env = {
      PUSHER_TOKEN_SECRT: "x",
      PUBLISHER_API_KEYS: "",
      PUSHER_APP_KEY: "x",
      PUSHER_SERVICE_HOST: "10.0.0.1",
    };
    await using service = startService(app, { FANWIRE_NATS_URL: "nats://127.0.0.1:9", ...env });

    const warnings = () => service.logLines().filter(({ msg }) => msg === "unknown environment variable ignored");
    await until("the service logs the warning", () => warnings().length > 0);

    expect(warnings()).toMatchObject([{ level: "warn", name: "PUSHER_TOKEN_SECRT", nearest: "PUSHER_TOKEN_SECRET" }]);
  },
);

test("with FANWIRE_STRICT_CONFIG=on one message names all unknown and invalid variables", async () => {
  const env = { FANWIRE_STRICT_CONFIG: "on", PUSHER_TOKEN_SECRT: "x", PUSHER_WORKERS: "none" };
  await using service = startService("pusher", env);

  const { code } = await until("the process ends", () => service.end());

  expect(code).toBe(1);
  expect(service.output()).toMatch(
    /PUSHER_WORKERS: must be auto.*\n.*\n {2}PUSHER_TOKEN_SECRT: the nearest known name is/,
  );
});

test("with FANWIRE_STRICT_CONFIG=on variables of Kubernetes and Laravel do not prevent the start", async () => {
  const env = {
    FANWIRE_STRICT_CONFIG: "on",
    PUSHER_APP_ID: "1",
    PUSHER_APP_CLUSTER: "mt1",
    PUSHER_SCHEME: "http",
    PUSHER_SERVICE_PORT_HTTP: "4236",
    PUSHER_PORT_4236_TCP: "tcp://10.0.0.1:4236",
    PUSHER_ADMIN_SERVICE_HOST: "10.0.0.2",
  };
  await using pusher = await startPusher({ nats: nats.url, env });

  expect(pusher.process.logLines().filter(({ level }) => level === "warn")).toEqual([]);
});

test("a pusher without token keys logs a warning when it listens on more than loopback", async () => {
  await using pusher = await startPusher({ nats: nats.url, env: { PUSHER_HOST: "0.0.0.0" } });

  const warnings = pusher.process.logLines().filter(({ level }) => level === "warn");
  expect(warnings).toMatchObject([{ msg: expect.stringContaining("authentication is off") }]);
});
