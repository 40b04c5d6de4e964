import { PART_OF } from "./workload.ts";

const apiVersion = "monitoring.coreos.com/v1";
const metadata = { name: PART_OF, labels: { "app.kubernetes.io/part-of": PART_OF } };

/** Lets the Prometheus operator scrape all our pods. The job is the component, as in prometheus-kubernetes.yml. */
export const podMonitor = {
  apiVersion,
  kind: "PodMonitor",
  metadata,
  spec: {
    jobLabel: "app.kubernetes.io/component",
    selector: { matchLabels: { "app.kubernetes.io/part-of": PART_OF } },
    podMetricsEndpoints: [{ port: "admin", interval: "15s", scrapeTimeout: "5s" }],
  },
};

/** Returns the alert rules as the Prometheus operator reads them. `rules` is the content of alerts.yml. */
export function prometheusRule(rules: { readonly groups: readonly unknown[] }) {
  return { apiVersion, kind: "PrometheusRule", metadata, spec: { groups: rules.groups } };
}
