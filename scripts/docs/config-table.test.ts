import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { channelSettings } from "../../apps/channel/src/config.ts";
import { publisherSettings } from "../../apps/publisher/src/config.ts";
import { pusherSettings } from "../../apps/pusher/src/config.ts";
import { webhooksSettings } from "../../apps/webhooks/src/config.ts";
import { withCurrentNames, withCurrentTable } from "./config-table.ts";

test("the table in docs/configuration.md is current after `npm run docs`", () => {
  const page = readFileSync(new URL("../../docs/configuration.md", import.meta.url), "utf8");

  expect(page).toBe(withCurrentTable(page));
});

test("the list of known variables is current after `npm run docs`", () => {
  const source = readFileSync(new URL("../../packages/service/src/known-settings.ts", import.meta.url), "utf8");

  expect(source).toBe(withCurrentNames(source));
});

/** Settings that the compose file does not hand on. */
const decidedByCompose = [
  // Services connect to NATS with a user and a password, over a network that nothing else reaches.
  /^FANWIRE_NATS_(TOKEN|CREDS_FILE|TLS_\w+)$/,
  // HAProxy connects to the pushers without TLS.
  /^PUSHER_TLS_\w+$/,
  // PHP processes cannot reach a socket within the container.
  /^CHANNEL_SOCKET$/,
];

test.each([
  ["pusher", pusherSettings],
  ["publisher", publisherSettings],
  ["channel", channelSettings],
  ["webhooks", webhooksSettings],
])("the compose file hands every setting on to the service %s, and no other variable", (name, settings) => {
  const text = readFileSync(new URL("../../docker-compose.yml", import.meta.url), "utf8");
  const { services } = parse(text, { merge: true }) as { services: Record<string, { environment: object }> };
  const wanted = Object.keys(settings).filter((setting) => !decidedByCompose.some((pattern) => pattern.test(setting)));

  expect(Object.keys(services[name]?.environment ?? {}).sort()).toEqual(wanted.sort());
});
