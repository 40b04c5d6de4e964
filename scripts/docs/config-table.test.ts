import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { channelSettings } from "../../apps/channel/src/config.ts";
import { publisherSettings } from "../../apps/publisher/src/config.ts";
import { pusherSettings } from "../../apps/pusher/src/config.ts";
import { webhooksSettings } from "../../apps/webhooks/src/config.ts";
import { withCurrentNames, withCurrentTable } from "./config-table.ts";

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
const services = [
  ["pusher", pusherSettings],
  ["publisher", publisherSettings],
  ["channel", channelSettings],
  ["webhooks", webhooksSettings],
] as const;

test.each([
  ["table", "docs/configuration.md", withCurrentTable],
  ["list of known variables", "packages/service/src/known-settings.ts", withCurrentNames],
])("the %s in %s is current after `npm run docs`", (_what, path, current) => {
  const text = read(path);

  expect(text).toBe(current(text));
});

test.each(services)("every setting of the service %s is described", (_service, settings) => {
  for (const [name, { description }] of Object.entries(settings)) expect(description, name).toMatch(/\.$/);
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

test.each(services)(
  "the compose file hands every setting on to the service %s, and no other variable",
  (name, settings) => {
    const file = parse(read("docker-compose.yml"), { merge: true }) as {
      services: Record<string, { environment: object }>;
    };
    const wanted = Object.keys(settings).filter(
      (setting) => !decidedByCompose.some((pattern) => pattern.test(setting)),
    );

    expect(Object.keys(file.services[name]?.environment ?? {}).sort()).toEqual(wanted.sort());
  },
);
