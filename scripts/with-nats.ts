import { spawn } from "node:child_process";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildAll } from "./build.ts";
import { findNatsServer } from "./nats-server.ts";
import { requireUws } from "./uws.ts";

/** Runs a script of ours, named from the root, with a nats-server and the services as built at hand; the command line goes to it. */
export async function runWithNats(script: string): Promise<void> {
  const root = fileURLToPath(new URL("..", import.meta.url));
  requireUws(root);
  const nats = await findNatsServer({ say: (line) => console.error(line) }).catch((error: Error) => {
    console.error(error.message);
    process.exit(1);
  });
  buildAll(root);
  const path = [dirname(nats.path), process.env.PATH].join(delimiter);
  const child = spawn(
    process.execPath,
    ["--conditions=@fanwire/source", "--import", "tsx", join(root, script), ...process.argv.slice(2)],
    { stdio: "inherit", env: { ...process.env, FANWIRE_TEST_BUILT: "1", PATH: path } },
  );
  // Ctrl-C reaches the script by itself, and it cleans up; a signal for us alone is passed on.
  process.on("SIGINT", () => undefined);
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  child.on("exit", (code) => process.exit(code ?? 1));
}
