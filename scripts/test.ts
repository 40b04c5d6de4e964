import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildAll } from "./build.ts";
import { findNatsServer } from "./nats-server.ts";
import { countTests } from "./test-totals.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

const args = process.argv.slice(2);
// Chaos takes minutes and both cores: who wants it asks for it.
process.exit(await main(args.some((arg) => arg.startsWith("--project")) ? args : ["--project=!chaos", ...args]));

/** Runs vitest with a nats-server at hand and the services as they are built; `args` go to vitest. */
async function main(args: readonly string[]): Promise<number> {
  const nats = await findNatsServer({ say: (line) => console.log(line) }).catch((error: Error) => error.message);
  if (typeof nats === "string") {
    console.error(nats);
    return 1;
  }
  console.log(`nats-server ${nats.version} (${nats.source}: ${nats.path})`);

  buildAll(ROOT);

  const folder = mkdtempSync(join(tmpdir(), "fanwire-test-"));
  try {
    const report = join(folder, "report.json");
    const exitCode = await runVitest(
      ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`, ...args],
      {
        ...process.env,
        FANWIRE_NATS_SERVER: nats.path,
        FANWIRE_TEST_BUILT: "1",
        PATH: [dirname(nats.path), process.env.PATH].join(delimiter),
      },
    );
    const { passed, failed } = countTests(readReport(report), exitCode);
    console.log(`${passed} passed, ${failed} failed`);
    return exitCode;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function runVitest(args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const vitest = join(ROOT, "node_modules", "vitest", "vitest.mjs");
  const child = spawn(process.execPath, [vitest, "run", ...args], { cwd: ROOT, env, stdio: "inherit" });
  // Ctrl-C reaches vitest by itself, and it cleans up; a signal for us alone is passed on.
  process.on("SIGINT", () => undefined);
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code) => resolve(code ?? 1));
  });
}

function readReport(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
