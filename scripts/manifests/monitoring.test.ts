import { spawnSync } from "node:child_process";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { temporaryFolder } from "../testing.ts";
import { dashboard } from "./grafana/dashboard.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const PROMETHEUS = join(ROOT, "deploy/prometheus");
const PROMTOOL_MS = 60_000;

type Rule = {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly runbook: string };
};

const read = (path: string) => readFileSync(join(ROOT, path), "utf8");
const groups = (parse(read("deploy/prometheus/alerts.yml")) as { groups: { name: string; rules: Rule[] }[] }).groups;
const rules = groups.flatMap((group) => group.rules);

const hasPromtool = spawnSync("promtool", ["--version"], { stdio: "ignore" }).status === 0;

/** Runs promtool in a folder. Returns its output if it fails. */
function promtool(folder: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync("promtool", args, {
    cwd: folder,
    encoding: "utf8",
    timeout: PROMTOOL_MS,
  });
  return status === 0 ? "" : stdout + stderr;
}

test.skipIf(!hasPromtool)("promtool accepts the configuration and the rules", () => {
  expect(promtool(PROMETHEUS, "check", "config", "prometheus.yml")).toBe("");
  expect(promtool(PROMETHEUS, "check", "rules", "alerts.yml")).toBe("");
});

test.skipIf(!hasPromtool)("promtool accepts the configuration for Kubernetes, apart from its discovery", () => {
  const folder = temporaryFolder();
  cpSync(PROMETHEUS, folder, { recursive: true });
  // Debian builds Prometheus without the discovery of Kubernetes.
  const text = read("deploy/prometheus/prometheus-kubernetes.yml");
  const known = text.replaceAll("kubernetes_sd_configs: [{ role: pod }]", "static_configs: []");
  expect(known).not.toContain("kubernetes_sd_configs");
  writeFileSync(join(folder, "prometheus-kubernetes.yml"), known);

  expect(promtool(folder, "check", "config", "prometheus-kubernetes.yml")).toBe("");
});

test.skipIf(!hasPromtool)("every alert fires in its scenario, and no other alert does", () => {
  expect(promtool(PROMETHEUS, "test", "rules", "alerts.test.yml")).toBe("");
});

test("every alert has a scenario in which it fires", () => {
  const scenarios = read("deploy/prometheus/alerts.test.yml");
  const fired = new Set([...scenarios.matchAll(/alertname="(\w+)"}', value: 1/g)].map(([, name]) => name));

  expect(rules.map(({ alert }) => alert).filter((alert) => !fired.has(alert))).toEqual([]);
});

test("every alert has a severity, a summary and a section in docs/alerts.md, and every section an alert", () => {
  const sections = [...read("docs/alerts.md").matchAll(/^### (\w+)$/gm)].map(([, name]) => name);

  for (const { alert, labels, annotations } of rules) {
    expect(["critical", "warning"], alert).toContain(labels.severity);
    expect(annotations.summary, alert).not.toBe("");
    expect(annotations.runbook).toBe(`docs/alerts.md#${alert.toLowerCase()}`);
  }
  expect(sections).toEqual(rules.map(({ alert }) => alert));
});

test("no two panels of the dashboard overlap or share an id, and every chart has a query", () => {
  const { panels } = dashboard();
  const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
    Array.from({ length: w * h }, (_, at) => `${x + (at % w)},${y + Math.floor(at / w)}`),
  );

  expect(new Set(cells).size).toBe(cells.length);
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  expect(panels.filter(({ type, targets }) => type !== "row" && !targets?.length)).toEqual([]);
  expect(Math.max(...panels.map(({ gridPos: { x, w } }) => x + w))).toBe(24);
});
