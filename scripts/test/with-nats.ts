import { spawn } from "node:child_process";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildAll } from "../build.ts";
import { findNatsServer } from "../start/nats-server.ts";
import { requireUws } from "../uws.ts";

/** Builds the services and runs a script, given by its path from the root, with a nats-server and the command line. */
export async function runWithNats(script: string): Promise<void> {
  const root = fileURLToPath(new URL("../..", import.meta.url));
  requireUws();
  const nats = await findNatsServer({ say: (line) => console.error(line) }).catch((error: Error) => {
    console.error(error.message);
    process.exit(1);
  });
  buildAll(root);
  const path = [dirname(nats.path), process.env.PATH].join(delimiter);
  const child = spawn(
    process.execPath,
    ["--conditions=@fanwire/source", "--import", "tsx", join(root, script), ...process.argv.slice(2)],
    {
      stdio: "inherit",
      env: { ...process.env, FANWIRE_TEST_BUILT: "1", FANWIRE_NATS_SERVER: nats.path, PATH: path },
    },
  );
  // The terminal sends Ctrl-C to the script too, which cleans up. Other signals reach this process only.
  process.on("SIGINT", () => undefined);
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  child.on("exit", (code) => process.exit(code ?? 1));
}
