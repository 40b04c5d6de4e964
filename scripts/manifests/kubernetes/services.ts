import type { HorizontalPodAutoscaler } from "kubernetes-types/autoscaling/v2.js";
import { labelsOf, secret, type Workload } from "./workload.ts";

/**
 * Connections of a pod at which another one is started: less than half of what one may hold, because others must take
 * over.
 */
const CONNECTIONS_EACH = 20_000;
const PUSHER_DRAIN_SECONDS = 20;
const CHANNEL_DRAIN_SECONDS = 5;

/** Settings that all services share. */
export const sharedSettings = {
  FANWIRE_NATS_URL: "nats://nats:4222",
  FANWIRE_HISTORY_REPLICAS: "3",
  CHANNEL_QUEUE_REPLICAS: "3",
  WEBHOOKS_REPLICAS: "3",
  // A misspelt setting stops a rollout instead of being ignored.
  FANWIRE_STRICT_CONFIG: "on",
};

/** Without a limit of CPU, because throttling delays deliveries. */
const resources = (cpu: string, memory: string, maxMemory: string) => ({
  requests: { cpu, memory },
  limits: { memory: maxMemory },
});

const pusher: Workload = {
  name: "pusher",
  adminPort: 9236,
  port: { name: "clients", number: 4236 },
  env: [
    { name: "PUSHER_HOST", value: "0.0.0.0" },
    { name: "PUSHER_PORT", value: "4236" },
    // Replicas set the number of processes.
    { name: "PUSHER_WORKERS", value: "1" },
    { name: "PUSHER_DRAIN_SECONDS", value: String(PUSHER_DRAIN_SECONDS) },
    secret("PUSHER_TOKEN_SECRET", "pusher-token-secret", { optional: true }),
    secret("FANWIRE_PUSHER_APPS", "pusher-apps", { optional: true }),
  ],
  drainSeconds: PUSHER_DRAIN_SECONDS,
  resources: resources("500m", "256Mi", "1Gi"),
};

const publisher: Workload = {
  name: "publisher",
  replicas: 2,
  adminPort: 9237,
  port: { name: "api", number: 4237 },
  env: [
    { name: "PUBLISHER_HOST", value: "0.0.0.0" },
    { name: "PUBLISHER_PORT", value: "4237" },
    // Required: without it the pod does not start, instead of serving every client.
    secret("PUBLISHER_API_KEYS", "publisher-api-keys"),
    secret("FANWIRE_PUSHER_APPS", "pusher-apps", { optional: true }),
  ],
  drainSeconds: 5,
  resources: resources("250m", "192Mi", "512Mi"),
};

const channel: Workload = {
  name: "channel",
  replicas: 2,
  adminPort: 9206,
  port: { name: "peers", number: 2206 },
  env: [
    { name: "CHANNEL_HOST", value: "0.0.0.0" },
    { name: "CHANNEL_PORT", value: "2206" },
    { name: "CHANNEL_DRAIN_SECONDS", value: String(CHANNEL_DRAIN_SECONDS) },
  ],
  drainSeconds: CHANNEL_DRAIN_SECONDS,
  resources: resources("250m", "192Mi", "768Mi"),
};

/** One leads, the other takes over. */
const webhooks: Workload = {
  name: "webhooks",
  replicas: 2,
  adminPort: 9238,
  env: [
    secret("WEBHOOKS_ENDPOINTS", "webhooks-endpoints", { optional: true }),
    secret("FANWIRE_PUSHER_APPS", "pusher-apps", { optional: true }),
  ],
  drainSeconds: 10,
  resources: resources("100m", "128Mi", "512Mi"),
};

export const workloads: readonly Workload[] = [pusher, publisher, channel, webhooks];

/** Scales pushers by their connections, which prometheus-adapter reads from Prometheus. */
export const pusherAutoscaler: HorizontalPodAutoscaler = {
  apiVersion: "autoscaling/v2",
  kind: "HorizontalPodAutoscaler",
  metadata: { name: "pusher", labels: labelsOf("pusher") },
  spec: {
    scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "pusher" },
    minReplicas: 2,
    maxReplicas: 20,
    metrics: [
      {
        type: "Pods",
        pods: {
          metric: { name: "fanwire_pusher_connections" },
          target: { type: "AverageValue", averageValue: String(CONNECTIONS_EACH) },
        },
      },
      // For fan-out to few connections, which costs CPU.
      { type: "Resource", resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 140 } } },
    ],
    behavior: {
      scaleUp: { policies: [{ type: "Percent", value: 100, periodSeconds: 60 }] },
      // A pod that ends makes its clients reconnect, so that pods end one by one and after a quiet hour.
      scaleDown: { stabilizationWindowSeconds: 3600, policies: [{ type: "Pods", value: 1, periodSeconds: 600 }] },
    },
  },
};
