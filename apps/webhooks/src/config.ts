import { createHash } from "node:crypto";
import { type BusConfig, busConfigFrom, sharedSettings } from "@fanwire/bus";
import { type EventName, eventNames } from "@fanwire/protocol";
import {
  eventSettings,
  type PusherApps,
  pusherAppsFrom,
  pusherAppsSettings,
  wantedEvents,
} from "@fanwire/pusher-protocol";
import { ConfigError, type LogLevel, readSettings, setting } from "@fanwire/service";
import * as z from "zod";
import type { Endpoint } from "./delivery/endpoint.ts";
import { type FanwireEndpointConfig, fanwireEndpoint } from "./formats/fanwire-format.ts";
import { pusherEndpoint } from "./formats/pusher-format.ts";

export const webhooksSettings = {
  ...sharedSettings,
  WEBHOOKS_ADMIN_HOST: setting.host("127.0.0.1").describe("Address of /healthz, /readyz and /metrics."),
  WEBHOOKS_ADMIN_PORT: setting.port(9238).describe("Port of /healthz, /readyz and /metrics."),
  WEBHOOKS_ENDPOINTS: setting
    .optionalText()
    .describe(
      "Endpoints for events in Fanwire's format, as a JSON array of objects with `url`, `secret` and, optionally, `events`, `prefix`, `batch`; see docs/webhooks.md. Webhooks of Pusher apps need none.",
    ),
  WEBHOOKS_REPLICAS: setting
    .integer({ min: 1, max: 5, default: 1 })
    .describe("Number of NATS servers that store a copy of the events. Used when the streams are created."),
  ...pusherAppsSettings,
  ...eventSettings,
};

export type WebhooksConfig = {
  readonly bus: BusConfig;
  readonly logLevel: LogLevel;
  readonly adminHost: string;
  readonly adminPort: number;
  readonly replicas: number;
  readonly endpoints: readonly Endpoint[];
  /** Events that are announced. */
  readonly wanted: ReadonlySet<EventName>;
  /** Events that an endpoint wants and that no pusher reports with these settings. */
  readonly unreported: readonly EventName[];
};

const endpoint = z.strictObject({
  url: z.url({ protocol: /^https?$/, error: "must be an http or https URL" }),
  secret: z.string().min(16, "must have at least 16 characters"),
  events: z
    .array(z.enum(eventNames))
    .nonempty()
    .default([...eventNames]),
  prefix: z.string().default(""),
  batch: z.int().min(1).max(1_000).default(50),
});

/** @throws ConfigError that names every wrong variable. */
export function readConfig(env: NodeJS.ProcessEnv): WebhooksConfig {
  const values = readSettings(webhooksSettings, env);
  const apps = pusherAppsFrom(values);
  const own = endpointsFrom(values.WEBHOOKS_ENDPOINTS);
  const reported = wantedEvents(values, apps);
  const named = parsedEvents(values.WEBHOOKS_ENDPOINTS);
  return Object.freeze({
    bus: busConfigFrom(values),
    logLevel: values.FANWIRE_LOG_LEVEL,
    adminHost: values.WEBHOOKS_ADMIN_HOST,
    adminPort: values.WEBHOOKS_ADMIN_PORT,
    replicas: values.WEBHOOKS_REPLICAS,
    endpoints: withIds([...own.map(describeOwn), ...describePusher(apps)]),
    wanted: reported,
    unreported: named.filter((name) => !reported.has(name)),
  });
}

/** Returns warnings about a configuration that is valid but delivers less than it seems to. */
export function configWarnings({ unreported, wanted }: WebhooksConfig): string[] {
  if (wanted.size === 0) return ["no events are on: set FANWIRE_EVENTS, or configure webhooks of a Pusher app"];
  if (unreported.length === 0) return [];
  return [`pushers do not report ${unreported.join(", ")}: add these to FANWIRE_EVENTS of all services`];
}

type Described = {
  readonly label: string;
  /** Part of the configuration that makes it this endpoint and no other. */
  readonly identity: readonly string[];
  create(label: string, id: string): Endpoint;
};

function describeOwn(config: FanwireEndpointConfig, at: number): Described {
  const create = (label: string, id: string) => fanwireEndpoint(config, label, id);
  return { label: `endpoint-${at + 1}`, identity: ["fanwire", config.url, config.prefix], create };
}

function describePusher({ all }: PusherApps): Described[] {
  return all.flatMap((app) =>
    app.webhooks.map((webhook, at) => ({
      label: `app-${app.id}-${at + 1}`,
      identity: ["pusher", app.id, webhook.url, webhook.prefix],
      create: (label: string, id: string) => pusherEndpoint(app, webhook, label, id),
    })),
  );
}

/** Gives each endpoint an id that survives a restart, and other secrets and events. */
function withIds(described: readonly Described[]): Endpoint[] {
  const counts = new Map<string, number>();
  return described.map(({ label, identity, create }) => {
    const text = JSON.stringify(identity);
    const count = counts.get(text) ?? 0;
    counts.set(text, count + 1);
    return create(label, createHash("sha256").update(`${count} ${text}`).digest("hex").slice(0, 16));
  });
}

function parsedEvents(json: string | undefined): EventName[] {
  // Only those that were named: an endpoint without a list gets whatever is on.
  const lists = json === undefined ? [] : (JSON.parse(json) as { events?: EventName[] }[]); // checked by endpointsFrom
  return [...new Set(lists.flatMap(({ events }) => events ?? []))];
}

function endpointsFrom(json: string | undefined): FanwireEndpointConfig[] {
  if (json === undefined) return [];
  const parsed = z.array(endpoint).safeParse(parseJson(json));
  if (parsed.success) return parsed.data;
  const lines = parsed.error.issues.map(({ path, message }) => `  ${path.map(String).join(".") || "it"}: ${message}`);
  throw new ConfigError(`WEBHOOKS_ENDPOINTS is wrong:\n${lines.join("\n")}`);
}

function parseJson(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    // Not the parser's message, because it quotes the text, which holds secrets.
    throw new ConfigError("WEBHOOKS_ENDPOINTS is not JSON.");
  }
}
