import { spawn } from "node:child_process";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { findNatsServer } from "./nats-server.ts";

/** Runs the bench with a nats-server at hand; the command line goes to it. */
const root = fileURLToPath(new URL("..", import.meta.url));
const nats = await findNatsServer({ say: (line) => console.error(line) }).catch((error: Error) => {
  console.error(error.message);
  process.exit(1);
});
const bench = spawn(
  process.execPath,
  ["--conditions=@fanwire/source", "--import", "tsx", join(root, "bench/src/main.ts"), ...process.argv.slice(2)],
  { stdio: "inherit", env: { ...process.env, PATH: [dirname(nats.path), process.env.PATH].join(delimiter) } },
);
// Ctrl-C reaches the bench by itself, and it cleans up; a signal for us alone is passed on.
process.on("SIGINT", () => undefined);
process.on("SIGTERM", () => bench.kill("SIGTERM"));
bench.on("exit", (code) => process.exit(code ?? 1));
