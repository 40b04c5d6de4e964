import { spawnSync } from "node:child_process";
import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePorts } from "./free-ports.ts";
import { statusOf } from "./http-api.ts";
import { startProcess } from "./process.ts";
import { until } from "./wait.ts";

const ALERTS = fileURLToPath(new URL("../../deploy/prometheus/alerts.yml", import.meta.url));

/** Reason why tests with Prometheus are skipped, or `undefined`. */
export const missingPrometheus =
  spawnSync("prometheus", ["--version"], { stdio: "ignore" }).status === 0
    ? undefined
    : "prometheus is not on PATH: npm test unpacks it on Debian";

type Sample = { readonly metric: Readonly<Record<string, string>>; readonly value: readonly [number, string] };
type Alert = { readonly name: string; readonly query: string; readonly health: string };

export type TestPrometheus = Awaited<ReturnType<typeof startPrometheus>>;

/**
 * Starts Prometheus with the alert rules, which scrapes admin ports every second. The jobs are the names of the
 * services.
 */
export async function startPrometheus(adminUrls: Readonly<Record<string, string>>) {
  const [port = 0] = await freePorts(1);
  const folder = await mkdtemp(join(tmpdir(), "fanwire-prometheus-"));
  const jobs = Object.entries(adminUrls).map(([job, url]) => ({
    job_name: job,
    static_configs: [{ targets: [new URL(url).host] }],
  }));
  const global = { scrape_interval: "1s", scrape_timeout: "1s", evaluation_interval: "1s" };
  await cp(ALERTS, join(folder, "alerts.yml"));
  // JSON is YAML.
  await writeFile(
    join(folder, "prometheus.yml"),
    JSON.stringify({ global, rule_files: ["alerts.yml"], scrape_configs: jobs }),
  );
  const address = `127.0.0.1:${port}`;
  const server = startProcess("prometheus", [
    `--config.file=${join(folder, "prometheus.yml")}`,
    `--storage.tsdb.path=${join(folder, "data")}`,
    `--web.listen-address=${address}`,
  ]);

  const get = async <Data>(path: string): Promise<Data> => {
    const response = await fetch(`http://${address}/api/v1/${path}`);
    const { status, data, error } = (await response.json()) as { status: string; data: Data; error?: string };
    if (status !== "success") throw new Error(`${decodeURIComponent(path)}: ${error}`);
    return data;
  };
  await until(
    () => `Prometheus answers:\n${server.output()}`,
    async () => (await statusOf(`http://${address}/-/ready`)) === 200,
  );
  return {
    query: async (expression: string) =>
      (await get<{ result: Sample[] }>(`query?query=${encodeURIComponent(expression)}`)).result,
    /** Names of the labels of all series of a metric. */
    labelsOf: async (metric: string) => {
      const series = await get<Record<string, string>[]>(`series?match[]=${encodeURIComponent(metric)}`);
      return new Set(series.flatMap((labels) => Object.keys(labels)));
    },
    rules: async () => {
      const { groups } = await get<{ groups: { rules: Alert[] }[] }>("rules?type=alert");
      return groups.flatMap(({ rules }) => rules);
    },
    [Symbol.asyncDispose]: async () => {
      await server.stop("SIGKILL");
      await rm(folder, { recursive: true, force: true });
    },
  };
}
