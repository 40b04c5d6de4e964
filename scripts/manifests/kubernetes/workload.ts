import type { Deployment } from "kubernetes-types/apps/v1.js";
import type { Container, EnvVar, Probe, ResourceRequirements, Service } from "kubernetes-types/core/v1.js";
import type { PodDisruptionBudget } from "kubernetes-types/policy/v1.js";

export const PART_OF = "fanwire";
/** The name of the ConfigMap, and of the Secret. */
export const SETTINGS = "fanwire";
/** Kubernetes removes a pod from its Services while this time passes, so that no client reaches a closed port. */
const PRE_STOP_SECONDS = 5;
/** Time beyond the drain until a service has ended. */
const STOP_SECONDS = 15;

/** One of our services. */
export type Workload = {
  readonly name: "pusher" | "publisher" | "channel" | "webhooks";
  /** Undefined: a HorizontalPodAutoscaler decides. */
  readonly replicas?: number;
  readonly adminPort: number;
  /** Name and number of the port that clients, backends or peers use. */
  readonly port?: { readonly name: string; readonly number: number };
  readonly env: readonly EnvVar[];
  /** Maximum time of the service for its drain. */
  readonly drainSeconds: number;
  readonly resources: ResourceRequirements;
};

export const labelsOf = (component: string) => ({
  "app.kubernetes.io/name": `fanwire-${component}`,
  "app.kubernetes.io/component": component,
  "app.kubernetes.io/part-of": PART_OF,
});

export const selectorOf = (component: string) => ({
  "app.kubernetes.io/component": component,
  "app.kubernetes.io/part-of": PART_OF,
});

/** Returns a variable with a value of the Secret. */
export function secret(name: string, key: string, more: { readonly optional?: boolean } = {}): EnvVar {
  return { name, valueFrom: { secretKeyRef: { name: SETTINGS, key, ...more } } };
}

export function deploymentOf(workload: Workload): Deployment {
  const { name, replicas, drainSeconds } = workload;
  const labels = labelsOf(name);
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name, labels },
    spec: {
      ...(replicas !== undefined && { replicas }),
      selector: { matchLabels: selectorOf(name) },
      // A new pod is ready before an old one ends.
      strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      template: {
        metadata: { labels },
        spec: {
          containers: [containerOf(workload)],
          terminationGracePeriodSeconds: PRE_STOP_SECONDS + drainSeconds + STOP_SECONDS,
          automountServiceAccountToken: false,
          // Otherwise Kubernetes sets variables such as PUSHER_PORT=tcp://10.0.0.1:4236. Services ignore them anyway.
          enableServiceLinks: false,
          securityContext: {
            runAsNonRoot: true,
            // The image names its user, and Kubernetes can only check a number.
            runAsUser: 1000,
            runAsGroup: 1000,
            seccompProfile: { type: "RuntimeDefault" },
          },
          topologySpreadConstraints: ["topology.kubernetes.io/zone", "kubernetes.io/hostname"].map((topologyKey) => ({
            maxSkew: 1,
            topologyKey,
            whenUnsatisfiable: "ScheduleAnyway",
            labelSelector: { matchLabels: selectorOf(name) },
          })),
        },
      },
    },
  };
}

function containerOf({ name, adminPort, port, env, resources }: Workload): Container {
  const upper = name.toUpperCase();
  return {
    name,
    // kustomize replaces the name and the tag: see overlays/production.
    image: `fanwire-${name}`,
    ports: [
      ...(port === undefined ? [] : [{ name: port.name, containerPort: port.number }]),
      { name: "admin", containerPort: adminPort },
    ],
    envFrom: [{ configMapRef: { name: SETTINGS } }],
    env: [
      { name: "FANWIRE_NATS_USER", value: name },
      secret("FANWIRE_NATS_PASSWORD", `nats-${name}-password`),
      { name: `${upper}_ADMIN_HOST`, value: "0.0.0.0" },
      { name: `${upper}_ADMIN_PORT`, value: String(adminPort) },
      ...env,
    ],
    resources,
    ...probes,
    // The image has no shell for a command.
    lifecycle: { preStop: { sleep: { seconds: PRE_STOP_SECONDS } } },
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    },
  };
}

/** The kubelet sends the requests itself: no probe starts a process in the container. */
const probe = (path: string, more: Probe): Probe => ({ httpGet: { path, port: "admin" }, timeoutSeconds: 5, ...more });

const probes = {
  startupProbe: probe("/healthz", { periodSeconds: 1, failureThreshold: 60 }),
  // A pod that cannot reach NATS is not ready, and need not be restarted.
  livenessProbe: probe("/healthz", { periodSeconds: 10, failureThreshold: 3 }),
  readinessProbe: probe("/readyz", { periodSeconds: 2, failureThreshold: 2 }),
};

export function serviceOf({ name }: Workload, port: { readonly name: string; readonly number: number }): Service {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, labels: labelsOf(name) },
    spec: { selector: selectorOf(name), ports: [{ name: port.name, port: port.number, targetPort: port.name }] },
  };
}

/** Returns a budget that lets a drain of nodes stop one pod at a time. */
export function disruptionBudgetOf({ name }: Workload): PodDisruptionBudget {
  return {
    apiVersion: "policy/v1",
    kind: "PodDisruptionBudget",
    metadata: { name, labels: labelsOf(name) },
    spec: { maxUnavailable: 1, selector: { matchLabels: selectorOf(name) } },
  };
}
