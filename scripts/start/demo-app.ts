import { randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, rename, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { NAMESPACE_PREFIX } from "../../packages/protocol/src/restricted-topics.ts";

/** The members of an app that `npm start` uses. The services check all of them. */
type App = {
  readonly id: string;
  readonly key: string;
  readonly namespace?: string;
  readonly webhooks?: readonly unknown[];
};

/**
 * Returns `env` with apps for the Pusher protocol. Without apps it has a demo app, which is generated once into the
 * file `path`. `FANWIRE_PUSHER_APPS=[]` switches the protocol off.
 */
export async function withPusherApps(env: NodeJS.ProcessEnv, path: string): Promise<NodeJS.ProcessEnv> {
  if (env.FANWIRE_PUSHER_APPS || env.FANWIRE_PUSHER_APPS_FILE) return env;
  if (!existsSync(path)) await writeDemoApp(path);
  return { ...env, FANWIRE_PUSHER_APPS_FILE: path };
}

/** Returns the apps, or none if they cannot be read, because the services report that with the reason. */
export function readPusherApps(env: NodeJS.ProcessEnv): App[] {
  try {
    const json = env.FANWIRE_PUSHER_APPS || readFileSync(env.FANWIRE_PUSHER_APPS_FILE ?? "", "utf8");
    const apps: unknown = JSON.parse(json);
    return Array.isArray(apps) ? apps.filter(isApp) : [];
  } catch {
    return [];
  }
}

/** Addresses of the form `host:port`. */
export type Addresses = { readonly pusher: string; readonly publisher: string };

/** Returns lines to try the first app with. */
export function pusherLines(env: NodeJS.ProcessEnv, { pusher, publisher }: Addresses): string[] {
  const apps = readPusherApps(env);
  const [app] = apps;
  if (app === undefined) return [];
  const [wsHost, wsPort] = splitAddress(pusher);
  const [host, port] = splitAddress(publisher);
  const namespace = app.namespace ?? (apps.length === 1 ? "" : app.id);
  const topic = namespace === "" ? "orders" : `${NAMESPACE_PREFIX}${namespace}/orders`;
  const publication = JSON.stringify({ target: { topic }, event: "paid", data: `{"total":9}` });
  const key = env.PUBLISHER_API_KEYS ? " -H 'Authorization: Bearer …'" : "";
  return [
    "With pusher-js (npm install pusher-js, or its script in a page):",
    `  const pusher = new Pusher("${app.key}", { wsHost: "${wsHost}", wsPort: ${wsPort}, forceTLS: false, enabledTransports: ["ws"], cluster: "x" });`,
    '  const orders = pusher.subscribe("orders");',
    '  orders.bind("paid", (data) => console.log(data));',
    `  curl http://${publisher}/v1/publications -H 'Content-Type: application/json'${key} -d '${publication}'`,
    `  SDKs of backends: host ${host}, port ${port}, app id ${app.id}, key ${app.key}, secret ${whereSecretIs(env)}`,
  ];
}

/** The secret itself does not belong on a screen. */
function whereSecretIs(env: NodeJS.ProcessEnv): string {
  return env.FANWIRE_PUSHER_APPS ? "of FANWIRE_PUSHER_APPS" : `in ${env.FANWIRE_PUSHER_APPS_FILE}`;
}

function splitAddress(address: string): [host: string, port: string] {
  const colon = address.lastIndexOf(":");
  return [address.slice(0, colon), address.slice(colon + 1)];
}

/** Client events are on, because pages that try the protocol use them. */
async function writeDemoApp(path: string): Promise<void> {
  const app = {
    id: "1001",
    key: randomBytes(10).toString("hex"),
    secret: randomBytes(20).toString("hex"),
    clientEvents: true,
  };
  await mkdir(dirname(path), { recursive: true });
  // Renamed, so that an interrupted start leaves no half of a file.
  const unfinished = `${path}.${process.pid}`;
  await writeFile(unfinished, `${JSON.stringify([app], null, 2)}\n`, { mode: 0o600 });
  await rename(unfinished, path);
}

function isApp(value: unknown): value is App {
  if (typeof value !== "object" || value === null || !("id" in value) || !("key" in value)) return false;
  return typeof value.id === "string" && typeof value.key === "string";
}
