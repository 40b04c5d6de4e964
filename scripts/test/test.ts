import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { buildAll } from "../build.ts";
import { findNatsServer } from "../start/nats-server.ts";
import { requireUws } from "../uws.ts";
import { bundleServices } from "./bundle-services.ts";
import { ensureTestTools, testTools } from "./test-tools.ts";
import { countTests, type Totals } from "./test-totals.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

const QUICK = ["unit", "integration", "e2e"].map((name) => `--project=${name}`);
const SLOW = ["slow", "ticks", "chaos", "containers"].map((name) => `--project=${name}`);
const NOT_RUN =
  "Not run: bench, soak, ten thousand malformed inputs of each kind, full buffers, dying NATS nodes, chaos, containers. To run them: npm run test:slow";

process.exit(await main(process.argv.slice(2)));

/**
 * Builds and bundles the services, and runs vitest on them with a nats-server. Passes its arguments except `--slow` to
 * vitest.
 */
async function main(args: readonly string[]): Promise<number> {
  requireUws();
  const nats = await findNatsServer({ say }).catch((error: Error) => error.message);
  if (typeof nats === "string") {
    console.error(nats);
    return 1;
  }
  say(`nats-server ${nats.version} (${nats.source}: ${nats.path})`);
  const missing = await ensureTestTools({
    env: { ...process.env, PATH: [process.env.PATH, join(ROOT, ".fanwire", "bin")].join(delimiter) },
    tools: testTools,
    isRoot: process.getuid?.() === 0,
    osRelease: "/etc/os-release",
    programs: join(ROOT, ".fanwire", "bin"),
    retryMs: 3_000,
    say,
  });
  buildAll(ROOT);
  await bundleServices(ROOT);

  const folder = mkdtempSync(join(tmpdir(), "fanwire-test-"));
  try {
    const report = join(folder, "report.json");
    const projects = chooseProjects(args);
    const rest = args.filter((arg) => arg !== "--slow");
    const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
    const exitCode = await runVitest([...reporters, ...projects, ...rest], {
      ...process.env,
      FANWIRE_NATS_SERVER: nats.path,
      FANWIRE_TEST_BUILT: "bundled",
      PATH: [dirname(nats.path), process.env.PATH].join(delimiter),
    });
    const totals = countTests(readReport(report), exitCode);
    for (const line of describeSkipped(totals, missing)) say(line);
    if (projects === QUICK) say(NOT_RUN);
    for (const line of describeFailures(totals)) say(line);
    say(`${totals.passed} passed, ${totals.failed} failed`);
    return exitCode;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function say(line: string): void {
  console.log(line);
}

/** Returns the projects of the suite, or none when the arguments name projects. */
function chooseProjects(args: readonly string[]): readonly string[] {
  if (args.some((arg) => arg.startsWith("--project"))) return [];
  return args.includes("--slow") ? SLOW : QUICK;
}

/** The gate repeats these lines at its end. */
function describeFailures({ failures }: Totals): string[] {
  return failures.map(({ path, test }) => `FAILED ${relative(ROOT, path)}: ${test ?? "the file did not run"}`);
}

function describeSkipped({ skipped }: Totals, missing: readonly string[]): string[] {
  const files = [...skipped].map(([path, count]) => `  ${relative(ROOT, path)}: ${count}`);
  const needsDocker = files.some((line) => line.includes(".containers.test.ts"));
  const docker = "the container tests need Docker Engine 25 or newer with compose, and the right to use it";
  const reasons = [...missing, ...(needsDocker ? [docker] : [])].map((sentence) => `  ${sentence}`);
  return files.length === 0 ? reasons : ["Skipped tests:", ...files, ...reasons];
}

function runVitest(args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const vitest = join(ROOT, "node_modules", "vitest", "vitest.mjs");
  const child = spawn(process.execPath, [vitest, "run", ...args], { cwd: ROOT, env, stdio: "inherit" });
  // The terminal sends Ctrl-C to vitest too, which cleans up. Other signals reach this process only.
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
