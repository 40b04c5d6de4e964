import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startPusher } from "../support/cluster.ts";
import { useFolder } from "../support/packed.ts";
import { startService } from "../support/process.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const { nats } = useCluster();
const folder = await useFolder();

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
  const others = { PUSHER_APP_KEY: "x", PUSHER_SERVICE_HOST: "10.0.0.1" }; // of Laravel and Kubernetes
  const env = { FANWIRE_STRICT_CONFIG: "on", PUSHER_TOKEN_SECRT: "x", PUSHER_WORKERS: "none", ...others };
  await using service = startService("pusher", env);

  const { code } = await until("the process ends", () => service.end());

  expect(code).toBe(1);
  expect(service.output()).toMatch(
    /PUSHER_WORKERS: must be auto.*\n.*\n {2}PUSHER_TOKEN_SECRT: the nearest known name is/,
  );
  expect(service.output()).not.toMatch(/PUSHER_(APP|SERVICE)/);
});

/** Makes uWebSockets.js fail in a process as it does on a system with an older glibc. */
const FAILING_ENGINE = `
const { Module } = require("node:module");
const load = Module._load;
Module._load = function (name, ...rest) {
  if (name !== "uWebSockets.js") return load.call(this, name, ...rest);
  throw new Error("This version of uWS.js supports only Node.js 20.\\n\\nError: version \\\`GLIBC_2.99' not found");
};`;

test.each(["1", "2"])("a pusher with %s workers ends at its start if uWebSockets.js does not load", async (workers) => {
  const preload = join(folder, "preload.cjs");
  await writeFile(preload, FAILING_ENGINE);
  const env = { NODE_OPTIONS: `--require=${preload}`, PUSHER_WORKERS: workers, PUSHER_ADMIN_PORT: "0" };

  await using service = startService("pusher", { FANWIRE_NATS_URL: "nats://127.0.0.1:9", PUSHER_PORT: "0", ...env });
  const { code } = await until("the process ends", () => service.end());

  const lines = service
    .output()
    .split("\n")
    .filter((line) => line !== "" && !line.includes("authentication is off"));
  expect([code, lines.length]).toEqual([1, 1]);
  expect(lines[0]).toMatch(/^fanwire pusher: with Node .* uWebSockets\.js needs glibc 2\.99, and .* Use Node 20, or/);
});

test("a pusher without token keys logs a warning when it listens on more than loopback", async () => {
  await using pusher = await startPusher({ nats: nats.url, env: { PUSHER_HOST: "0.0.0.0" } });

  const warnings = pusher.process.logLines().filter(({ level }) => level === "warn");
  expect(warnings).toMatchObject([{ msg: expect.stringContaining("authentication is off") }]);
});
