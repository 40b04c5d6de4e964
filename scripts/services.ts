import { existsSync } from "node:fs";
import { join } from "node:path";
import { isServiceLink } from "../packages/service/src/service-links.ts";

/** What `npm start` runs beside NATS. */
export type ServiceSpec = {
  /** As in the name of its package. */
  readonly name: string;
  /** Its main file, from the root of the repository. */
  readonly main: string;
  readonly port: number;
  readonly adminPort: number;
  /** Defaults for a developer's machine; the user's own variables win. */
  readonly defaults: Readonly<Record<string, string>>;
  /** Where it is to be reached, for the closing lines of a start. */
  urls(address: string, env: NodeJS.ProcessEnv): string[];
  /** Things to try with it at once. */
  examples(address: string): string[];
};

export const services: readonly ServiceSpec[] = [
  {
    name: "pusher",
    main: "apps/pusher/src/main.ts",
    port: 4236,
    adminPort: 9236,
    // Two workers, as a real cluster has several. No drain: a developer's Ctrl-C should be quick.
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
    // The page asks for a key where there are keys.
    defaults: { PUBLISHER_TRY_PAGE: "on" },
    urls: (address, env) => [
      `HTTP API    http://${address}   (described at http://${address}/docs)`,
      `To try it   http://${address}/try${pusherQuery(env)}   (connect, follow, publish in the browser)`,
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
];

/** Tells the page where the pusher is, if that is not where it looks by itself. */
function pusherQuery(env: NodeJS.ProcessEnv): string {
  const { host, port } = readAddress("pusher", "", 4236, env);
  return host === "127.0.0.1" && port === 4236 ? "" : `?pusher=ws://${host}:${port}/`;
}

/** Those whose code is in this tree. */
export function presentServices(root: string): ServiceSpec[] {
  return services.filter(({ main }) => existsSync(join(root, main)));
}

export type Address = { readonly variable: string; readonly host: string; readonly port: number };

/** Where the service listens for its users. */
export function serviceAddress(spec: ServiceSpec, env: NodeJS.ProcessEnv): Address {
  return readAddress(spec.name, "", spec.port, env);
}

/** Where the service answers `/readyz`. */
export function adminAddress(spec: ServiceSpec, env: NodeJS.ProcessEnv): Address {
  return readAddress(spec.name, "ADMIN_", spec.adminPort, env);
}

function readAddress(name: string, kind: "" | "ADMIN_", defaultPort: number, env: NodeJS.ProcessEnv): Address {
  const prefix = `${name.toUpperCase()}_${kind}`;
  const host = env[`${prefix}HOST`] ?? "";
  const port = env[`${prefix}PORT`] ?? "";
  return {
    variable: `${prefix}PORT`,
    // One that listens on every interface is reached on loopback.
    host: ["", "0.0.0.0", "::", "localhost"].includes(host) ? "127.0.0.1" : host,
    port: Number(isServiceLink(`${prefix}PORT`, port) ? defaultPort : port || defaultPort),
  };
}
