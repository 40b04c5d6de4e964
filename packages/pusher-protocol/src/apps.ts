import { readFileSync } from "node:fs";
import { ConfigError, setting } from "@fanwire/service";
import * as z from "zod";

const webhookEvents = [
  "channel_occupied",
  "channel_vacated",
  "member_added",
  "member_removed",
  "client_event",
  "cache_miss",
  "subscription_count",
] as const;

const text = z.string().regex(/^[!-~]+$/, "must be visible ASCII without spaces");
/** Part of a URL and of a signed `key:signature`. */
const name = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, "must be 1 to 64 letters, digits, _ and -");
const key = z.strictObject({ key: name, secret: text });

const webhook = z.strictObject({
  url: z.url({ protocol: /^https?$/, error: "must be an http or https URL" }),
  /** All events when absent. */
  events: z
    .array(z.enum(webhookEvents))
    .nonempty()
    .default([...webhookEvents]),
  /** Only channels that begin with this. */
  prefix: z.string().default(""),
});

const app = z.strictObject({
  id: name,
  key: name,
  secret: text,
  /** Earlier keys that are still accepted. */
  previousKeys: z.array(key).default([]),
  /** Separates the topics and users of apps. The default is "" for a single app, and the id when there are several. */
  namespace: z
    .string()
    .regex(/^[A-Za-z0-9_-]{0,40}$/, "must be at most 40 letters, digits, _ and -")
    .optional(),
  clientEvents: z.boolean().default(false),
  /** Maximum client events of one connection. */
  clientEventsPerSecond: z.int().min(1).max(10_000).default(10),
  watchlist: z.boolean().default(false),
  subscriptionCount: z.boolean().default(false),
  /** Maximum bytes of an event's `data`. */
  maxEventBytes: z.int().min(1).max(1_048_576).default(10_240),
  /** Maximum members of a presence channel. */
  maxMembers: z.int().min(1).max(1_000_000).default(100),
  /** Maximum connections in the cluster; no limit when absent. */
  maxConnections: z.int().min(1).max(100_000_000).optional(),
  /** Time within which a connection must sign in or subscribe to a private or presence channel; 0: no limit. */
  authorizedWithinSeconds: z.int().min(0).max(3_600).default(0),
  allowedOrigins: z.array(z.string()).nonempty().default(["*"]),
  /** Close code for connections of a terminated user: with 4009 pusher-js does not reconnect, with 4200 it does. */
  terminateCode: z.union([z.literal(4009), z.literal(4200)]).default(4009),
  webhooks: z.array(webhook).default([]),
});

export type PusherWebhook = z.output<typeof webhook>;
export type PusherApp = Omit<z.output<typeof app>, "namespace"> & {
  /** Empty: the app shares its topics with all other clients. */
  readonly namespace: string;
  /** The key and the previous ones. */
  readonly keys: readonly { readonly key: string; readonly secret: string }[];
};

/** Environment variables of all services that know Pusher apps. */
export const pusherAppsSettings = {
  FANWIRE_PUSHER_APPS: setting
    .optionalText()
    .describe(
      "Pusher apps, as a JSON array of objects with `id`, `key` and `secret`. Without apps the Pusher protocol is off.",
    ),
  FANWIRE_PUSHER_APPS_FILE: setting
    .optionalText()
    .describe("Path of a file with the JSON of FANWIRE_PUSHER_APPS, instead of that variable."),
};

/** The configured apps. */
export class PusherApps {
  readonly all: readonly PusherApp[];
  readonly #byId: ReadonlyMap<string, PusherApp>;
  readonly #byKey: ReadonlyMap<string, PusherApp>;

  constructor(all: readonly PusherApp[]) {
    this.all = all;
    this.#byId = new Map(all.map((each) => [each.id, each]));
    this.#byKey = new Map(all.flatMap((each) => each.keys.map((own): [string, PusherApp] => [own.key, each])));
  }

  withId(id: string): PusherApp | undefined {
    return this.#byId.get(id);
  }

  /** Finds the app of a key, which may be a previous one. */
  withKey(wanted: string): PusherApp | undefined {
    return this.#byKey.get(wanted);
  }
}

/** @throws ConfigError that names the wrong app, without its secret. */
export function pusherAppsFrom(values: {
  readonly FANWIRE_PUSHER_APPS?: string | undefined;
  readonly FANWIRE_PUSHER_APPS_FILE?: string | undefined;
}): PusherApps {
  const { FANWIRE_PUSHER_APPS: json, FANWIRE_PUSHER_APPS_FILE: path } = values;
  if (json !== undefined && path !== undefined) {
    throw new ConfigError("Set FANWIRE_PUSHER_APPS or FANWIRE_PUSHER_APPS_FILE, not both.");
  }
  if (path !== undefined) return parseApps("FANWIRE_PUSHER_APPS_FILE", readText(path));
  return json === undefined ? new PusherApps([]) : parseApps("FANWIRE_PUSHER_APPS", json);
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new ConfigError(`FANWIRE_PUSHER_APPS_FILE: ${error instanceof Error ? error.message : "cannot be read"}`);
  }
}

function parseApps(variable: string, json: string): PusherApps {
  const parsed = z.array(app).safeParse(parseJson(variable, json));
  if (!parsed.success) {
    const lines = parsed.error.issues.map(({ path, message }) => `  ${path.map(String).join(".") || "it"}: ${message}`);
    throw new ConfigError(`${variable} is wrong:\n${lines.join("\n")}`);
  }
  const isSingle = parsed.data.length === 1;
  const apps = parsed.data.map((each) => ({
    ...each,
    namespace: each.namespace ?? (isSingle ? "" : each.id),
    keys: [{ key: each.key, secret: each.secret }, ...each.previousKeys],
  }));
  for (const [what, all] of [
    ["id", apps.map(({ id }) => id)],
    ["key", apps.flatMap(({ keys }) => keys.map((own) => own.key))],
    ["namespace", apps.map(({ namespace }) => namespace)],
  ] as const) {
    const repeated = all.find((each, at) => all.indexOf(each) !== at);
    if (repeated !== undefined)
      throw new ConfigError(`${variable}: two apps have the ${what} ${JSON.stringify(repeated)}.`);
  }
  return new PusherApps(apps);
}

function parseJson(variable: string, json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    // Not the parser's message, because it quotes the text, which holds secrets.
    throw new ConfigError(`${variable} is not JSON.`);
  }
}
