import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { hasOpenssl } from "../support/certificates.ts";
import { useMonitoredCluster } from "../support/monitored-cluster.ts";
import { missingPrometheus, startPrometheus, type TestPrometheus } from "../support/prometheus.ts";
import { namesIn } from "../support/promql.ts";
import { until } from "../support/wait.ts";

type Panel = { readonly title: string; readonly targets?: readonly { readonly expr: string }[] };
type Dashboard = {
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly type: string; readonly query: string }[] };
};

const board = JSON.parse(
  readFileSync(new URL("../../deploy/grafana/dashboards/fanwire.json", import.meta.url), "utf8"),
) as Dashboard; // a wrong shape fails the tests below

/** Values that Grafana inserts. */
const inserted = { $__rate_interval: "10s", $job: ".*", $instance: ".*" } as const;
const charts = board.panels.flatMap(({ title, targets = [] }) =>
  targets.map(({ expr }) => ({
    title,
    expr: Object.entries(inserted).reduce((text, [name, value]) => text.replaceAll(name, value), expr),
  })),
);

/** Labels that Prometheus adds, or that only some installations have. */
const FOREIGN: ReadonlySet<string> = new Set(["job", "instance", "cluster", "namespace"]);
/** Series of Prometheus itself. */
const OWN: ReadonlySet<string> = new Set(["up", "ALERTS"]);
/** Alerts that the load of the machine may cause. */
const MAY_FIRE = /^Fanwire(EventLoopDelay|NatsSlow|ApiSlow)$/;

describe.skipIf(missingPrometheus !== undefined || !hasOpenssl)("monitoring", async () => {
  const cluster = await useMonitoredCluster();
  let prometheus: TestPrometheus;

  beforeAll(async () => {
    prometheus = await startPrometheus(cluster.adminUrls());
    // A rate needs samples before and after.
    await until("samples of all services", async () => (await prometheus.query("fanwire_ready == 1")).length === 4);
    await cluster.useEverything();
    await until("increased counters", async () => {
      const [deliveries] = await prometheus.query("sum(increase(fanwire_pusher_deliveries_total[10s])) > 0");
      const [delivered] = await prometheus.query('fanwire_webhooks_deliveries_total{outcome="delivered"} > 0');
      const { length } = await prometheus.query("fanwire_publisher_requests_total offset 2s");
      return deliveries !== undefined && delivered !== undefined && length > 0;
    });
  });
  afterAll(() => prometheus?.[Symbol.asyncDispose]());

  test("every metric and label of the alert rules and of the dashboard exists", async () => {
    const expressions = [...charts.map(({ expr }) => expr), ...(await prometheus.rules()).map(({ query }) => query)];

    const labels = new Map<string, ReadonlySet<string>>();
    const unknown = new Set<string>();
    for (const { selectors, grouping } of expressions.map(namesIn)) {
      const known = new Set(FOREIGN);
      for (const { metric, labels: matched } of selectors) {
        if (OWN.has(metric)) continue;
        if (!labels.has(metric)) labels.set(metric, await prometheus.labelsOf(metric));
        const own = labels.get(metric) ?? new Set();
        if (own.size === 0) unknown.add(metric);
        for (const label of matched) if (!own.has(label) && !FOREIGN.has(label)) unknown.add(`${metric}{${label}}`);
        for (const label of own) known.add(label);
      }
      for (const label of grouping) if (!known.has(label)) unknown.add(`by (${label})`);
    }

    expect(labels.size).toBeGreaterThan(60);
    expect([...unknown]).toEqual([]);
  });

  test("every query of the dashboard has data", async () => {
    const results = await Promise.all(
      charts.map(async ({ title, expr }) => ({ title, expr, series: (await prometheus.query(expr)).length })),
    );

    expect(results.length).toBeGreaterThan(50);
    expect(results.filter(({ series }) => series === 0)).toEqual([]);
  });

  test("the variables of the dashboard have values", async () => {
    const queries = board.templating.list.filter(({ type }) => type === "query").map(({ query }) => query);

    expect(queries).toEqual(["label_values(fanwire_ready, job)", 'label_values(fanwire_ready{job=~"$job"}, instance)']);
    const jobs = (await prometheus.query("fanwire_ready")).map(({ metric }) => metric.job);
    expect(jobs.sort()).toEqual(["channel", "publisher", "pusher", "webhooks"]);
  });

  test("every alert rule can be evaluated, and none fires in a cluster without faults", async () => {
    await until("evaluated rules", async () => (await prometheus.rules()).every(({ health }) => health !== "unknown"));

    const rules = await prometheus.rules();
    expect(rules.filter(({ health }) => health !== "ok")).toEqual([]);
    const firing = await prometheus.query('ALERTS{alertstate="firing"}');
    expect(firing.map(({ metric }) => String(metric.alertname)).filter((name) => !MAY_FIRE.test(name))).toEqual([]);
  });
});
