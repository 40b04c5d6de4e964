import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { prettyFactory } from "pino-pretty";
import { requireUws } from "../uws.ts";
import { dataFolderProblem } from "./data-folder.ts";
import { withPusherApps } from "./demo-app.ts";
import { LocalCluster } from "./local-cluster.ts";
import { findNatsServer } from "./nats-server.ts";
import {
  pusherExamples,
  type ServiceSpec,
  serviceAddress,
  services,
  shownAddress,
  wantedServices,
} from "./services.ts";
import { onceAskedToStop } from "./signals.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const withPort = services.filter(({ port }) => port !== undefined);

const help = `npm start: runs Fanwire on this machine, for developing and trying.

It installs what is missing, starts a nats-server with JetStream (data in .fanwire/), then
${withPort.map(({ name, port }) => `${name} (port ${port})`).join(", ")}, and stops all of it with Ctrl-C.
It starts the webhook sender too if WEBHOOKS_ENDPOINTS is set or a Pusher app has webhooks.
The pusher listens on every interface (PUSHER_HOST=127.0.0.1 keeps it to this machine), all else on loopback.

Variables that matter most (every variable of the services works; docs/configuration.md has the table):

  FANWIRE_NATS_URL      use this NATS and start none
  FANWIRE_NATS_PORT     port of the NATS it starts (4222, or another when that is taken)
  FANWIRE_NATS_SERVER   path of the nats-server program; else PATH, the system's package, the official release
  FANWIRE_LOG_LEVEL     what the services log: debug, info, warn, …
  FANWIRE_PUSHER_APPS   apps of the Pusher protocol, as JSON; a demo app in .fanwire/ if there are none; []: off
  PUSHER_WORKERS        processes of the pusher (here 2)
  PUSHER_DRAIN_SECONDS  time in which a stop closes the connections (here 0)
${withPort.map(({ name }) => `  ${`${name.toUpperCase()}_PORT`.padEnd(20)}  and ${name.toUpperCase()}_ADMIN_PORT: where the ${name} listens`).join("\n")}
  NO_COLOR              plain output`;

process.exit(await main(process.argv.slice(2)));

async function main(args: readonly string[]): Promise<number> {
  if (args.includes("--help") || args.includes("-h")) {
    console.log(help);
    return 0;
  }
  requireUws();

  // A closed terminal must not keep us from stopping what we started.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);
  const folder = join(root, ".fanwire");
  const folderProblem = await dataFolderProblem(folder);
  if (folderProblem !== undefined) {
    console.error(folderProblem);
    return 1;
  }
  const env = await withPusherApps(process.env, join(folder, "pusher-apps.json"));
  const wanted = wantedServices(root, env);
  const cluster = createCluster(wanted, env);
  const askedToStop = onceAskedToStop(() => cluster.kill()).then(() => {
    console.log("\nStopping… (press Ctrl-C again to force)");
    return undefined;
  });
  const failed = cluster
    .start()
    .then((natsUrl) => {
      console.log(closingLines(natsUrl, wanted, env));
      return cluster.failed;
    })
    .catch((error: Error) => error.message);
  const problem = await Promise.race([askedToStop, failed]);
  if (problem !== undefined) console.error(`\n${problem}\n`);
  await cluster.stop();
  if (problem === undefined) console.log("Everything has stopped.");
  return problem === undefined ? 0 : 1;
}

function createCluster(wanted: readonly ServiceSpec[], env: NodeJS.ProcessEnv): LocalCluster {
  const nameWidth = Math.max(...services.map(({ name }) => name.length), "nats-server".length);
  const format = prettyFactory({
    colorize: process.stdout.isTTY && process.stdout.hasColors(),
    ignore: "service,pid,hostname",
    singleLine: true,
    translateTime: "SYS:HH:MM:ss.l",
  });
  return new LocalCluster({
    root,
    services: wanted,
    env,
    natsPort: 4222,
    nodeFlags: ["--conditions=@fanwire/source", "--import", "tsx"],
    findNats: findNatsServer,
    say: (line) => console.log(line),
    onLine: (name, line) => {
      if (name === "nats-server" && !isWorthShowing(line)) return;
      console.log(`${name.padEnd(nameWidth)}  ${format(line).trimEnd()}`);
    },
  });
}

/** Whether a line of nats-server is a warning or an error, other than the warning about our own max_payload. */
function isWorthShowing(line: string): boolean {
  return /\[(WRN|ERR|FTL)\]/.test(line) && !line.includes("Maximum payloads over");
}

function closingLines(natsUrl: string, wanted: readonly ServiceSpec[], env: NodeJS.ProcessEnv): string {
  const all = (lines: (spec: ServiceSpec, address: string) => string[]) =>
    wanted.flatMap((spec) => {
      const address = serviceAddress(spec, env);
      return lines(spec, address === undefined ? "" : shownAddress(address)).map((line) => `  ${line}`);
    });
  return [
    "",
    "Fanwire runs:",
    ...all((spec, address) => spec.urls(address, env)),
    // A URL of the user's may carry a password.
    `  NATS        ${natsUrl.replaceAll(/\/\/[^@/,]*@/g, "//…@")}`,
    "Try it:",
    ...all((spec, address) => spec.examples(address)),
    ...pusherExamples(env).map((line) => `  ${line}`),
    "Ctrl-C stops everything.",
    "",
  ].join("\n");
}
