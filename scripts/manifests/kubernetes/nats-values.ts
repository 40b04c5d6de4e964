const PERSONS = ["pusher", "publisher", "channel", "webhooks", "operator"] as const;

/** Returns the values for NATS' own Helm chart, 1.x. `users` is the text of deploy/nats-users.conf. */
export function natsValues(users: string) {
  return {
    config: {
      cluster: { enabled: true, replicas: 3 },
      jetstream: { enabled: true, fileStore: { pvc: { size: "10Gi" } } },
      // The chart writes what is between << and >> without quotation marks.
      merge: { "00$include": "nats-users.conf", max_payload: "<< 11MB >>" },
    },
    configMap: { merge: { data: { "nats-users.conf": users } } },
    container: { env: Object.assign({}, ...PERSONS.map(password)) },
    podTemplate: {
      topologySpreadConstraints: { "kubernetes.io/hostname": { maxSkew: 1, whenUnsatisfiable: "DoNotSchedule" } },
    },
    // Its metrics are at port 7777.
    promExporter: { enabled: true },
    natsBox: { enabled: false },
  };
}

/**
 * Returns the variable that nats-users.conf reads. nats-server reads its value as configuration, where quotation marks
 * keep a number from being read as one. Kubernetes expands a variable that comes before, and the chart sorts them by
 * name.
 */
function password(user: (typeof PERSONS)[number]) {
  const raw = `FANWIRE_${user.toUpperCase()}_PASSWORD`;
  return {
    [raw]: { valueFrom: { secretKeyRef: { name: "fanwire", key: `nats-${user}-password` } } },
    [`NATS_${user.toUpperCase()}_PASSWORD`]: `"$(${raw})"`,
  };
}

/** Values for the Helm chart of prometheus-adapter: the metric that scales pushers. */
export const adapterValues = {
  rules: {
    custom: [
      {
        seriesQuery: 'fanwire_pusher_connections{namespace!="",pod!=""}',
        resources: { overrides: { namespace: { resource: "namespace" }, pod: { resource: "pod" } } },
        name: { as: "fanwire_pusher_connections" },
        metricsQuery: "sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)",
      },
    ],
  },
};
