import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { checkLayers } from "./layers.ts";

/**
 * The folders of each package's `src` from top to bottom: a folder imports only those below it. A package without an
 * order is checked for cycles between its folders.
 */
const ORDERS: Readonly<Record<string, readonly string[]>> = {
  "apps/pusher": [
    "process",
    "protocols",
    "recovery",
    "control",
    "hub",
    "presence",
    "fanout",
    "history",
    "events",
    "connections",
    "pacing",
    "tls",
    "wire",
  ],
  "apps/publisher": ["routes", "pages", "http", "compat", "cluster"],
  "apps/channel": ["server", "broker", "wire", "php", "data"],
  "apps/webhooks": ["leader", "formats", "delivery", "cluster"],
  "packages/cli": ["commands", "doctor", "screen", "tokens", "api"],
  "packages/bus": ["journal", "work-queue", "history", "connection"],
};

/** Packages that `npm run check` holds to this. */
const CHECKED: readonly string[] = [
  "apps/channel",
  "apps/publisher",
  "apps/pusher",
  "apps/webhooks",
  "packages/bus",
  "packages/cli",
  "packages/client",
  "packages/console",
  "packages/protocol",
  "packages/pusher-protocol",
  "packages/service",
  "packages/tokens",
];

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const isVerbose = process.argv.includes("--verbose");
const asked = process.argv.slice(2).filter((arg) => !arg.startsWith("-"));

for (const name of asked.length > 0 ? asked : CHECKED) {
  const { files, imports, problems } = checkLayers(join(ROOT, name, "src"), ORDERS[name]);
  console.log(`${name}: ${files} files, ${imports.length} imports between parts, ${problems.length} problems`);
  if (isVerbose) for (const { from, to } of imports) console.log(`  ${from} -> ${to}`);
  for (const problem of problems) console.error(`  ${problem}`);
  if (problems.length > 0) process.exitCode = 1;
}
