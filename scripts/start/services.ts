import { existsSync } from "node:fs";
import { join } from "node:path";
import { isServiceLink } from "../../packages/service/src/service-links.ts";
import { pusherLines, readPusherApps } from "./demo-app.ts";

/** A service that `npm start` runs. */
export type ServiceSpec = {
  /** Last part of the name of its package. */
  readonly name: string;
  /** Whether it runs; always if absent. */
  isWanted?(env: NodeJS.ProcessEnv): boolean;
  /** Path of its main file from the root of the repository. */
  readonly main: string;
  /** Absent if no client connects to it. */
  readonly port?: number;
  readonly adminPort: number;
  /** Defaults for a developer's machine. Variables of the environment take precedence. */
  readonly defaults: Readonly<Record<string, string>>;
  /** Lines with its addresses, printed at the end of a start. */
  urls(address: string, env: NodeJS.ProcessEnv): string[];
  /** Examples to try, printed at the end of a start. */
  examples(address: string): string[];
};

export const services: readonly ServiceSpec[] = [
  {
    name: "pusher",
    main: "apps/pusher/src/main.ts",
    port: 4236,
    adminPort: 9236,
    // Two workers, because a real cluster has several. No drain, so that Ctrl-C is quick.
    defaults: { PUSHER_WORKERS: "2", PUSHER_DRAIN_SECONDS: "0" },
    urls: (address) => [`WebSocket   ws://${address}`],
    examples: (address) => [
      `In the console of a browser:  new WebSocket("ws://${address}").onmessage = (e) => console.log(e.data)`,
    ],
  },
  {
    name: "publisher",
    main: "apps/publisher/src/main.ts",
    port: 4237,
    adminPort: 9237,
    defaults: {},
    urls: (address, env) => [
      `HTTP API    http://${address}   (described at http://${address}/docs)`,
      `Console     http://${address}/console${pusherQuery(env)}   (try it, and see the cluster, in the browser)`,
    ],
    examples: (address) => [`In another terminal:          curl 'http://${address}/?content=hello'`],
  },
  {
    name: "channel",
    main: "apps/channel/src/main.ts",
    port: 2206,
    adminPort: 9206,
    defaults: {},
    urls: (address) => [`Workerman   tcp://${address}`],
    examples: () => [],
  },
  {
    name: "webhooks",
    isWanted: wantsWebhooks,
    main: "apps/webhooks/src/main.ts",
    adminPort: 9238,
    defaults: {},
    urls: () => [],
    examples: () => [],
  },
];

/** Returns lines to try the Pusher protocol with. */
export function pusherExamples(env: NodeJS.ProcessEnv): string[] {
  const [pusher, publisher] = [readAddress("pusher", "", 4236, env), readAddress("publisher", "", 4237, env)];
  return pusherLines(env, { pusher: shownAddress(pusher), publisher: shownAddress(publisher) });
}

export function shownAddress({ host, port }: Address): string {
  return `${host === "127.0.0.1" ? "localhost" : hostInUrl(host)}:${port}`;
}

/** Returns a host as URLs have it: an IPv6 address in brackets. */
export function hostInUrl(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}

/** Adds the address of the pusher, unless it is the default of the page. */
function pusherQuery(env: NodeJS.ProcessEnv): string {
  const { host, port } = readAddress("pusher", "", 4236, env);
  return host === "127.0.0.1" && port === 4236 ? "" : `?pusher=ws://${hostInUrl(host)}:${port}/`;
}

/** Whether an endpoint or an app wants events. */
function wantsWebhooks(env: NodeJS.ProcessEnv): boolean {
  return Boolean(env.WEBHOOKS_ENDPOINTS) || readPusherApps(env).some(({ webhooks = [] }) => webhooks.length > 0);
}

/** Returns the services whose code exists below `root`, and that `env` wants. */
export function wantedServices(root: string, env: NodeJS.ProcessEnv): ServiceSpec[] {
  return services.filter(({ main, isWanted }) => existsSync(join(root, main)) && isWanted?.(env) !== false);
}

export type Address = { readonly variable: string; readonly host: string; readonly port: number };

/** Returns the address on which the service listens for its users, if it has users. */
export function serviceAddress({ name, port }: ServiceSpec, env: NodeJS.ProcessEnv): Address | undefined {
  return port === undefined ? undefined : readAddress(name, "", port, env);
}

/** Returns the address on which the service answers `/readyz`. */
export function adminAddress(spec: ServiceSpec, env: NodeJS.ProcessEnv): Address {
  return readAddress(spec.name, "ADMIN_", spec.adminPort, env);
}

function readAddress(name: string, kind: "" | "ADMIN_", defaultPort: number, env: NodeJS.ProcessEnv): Address {
  const prefix = `${name.toUpperCase()}_${kind}`;
  const host = env[`${prefix}HOST`] ?? "";
  const port = env[`${prefix}PORT`] ?? "";
  return {
    variable: `${prefix}PORT`,
    // A service that listens on every interface also answers on loopback.
    host: ["", "0.0.0.0", "::", "localhost"].includes(host) ? "127.0.0.1" : host,
    port: Number(isServiceLink(`${prefix}PORT`, port) ? defaultPort : port || defaultPort),
  };
}
