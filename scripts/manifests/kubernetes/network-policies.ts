import type {
  NetworkPolicy,
  NetworkPolicyEgressRule,
  NetworkPolicyIngressRule,
  NetworkPolicyPeer,
} from "kubernetes-types/networking/v1.js";
import { labelsOf, PART_OF, selectorOf, type Workload } from "./workload.ts";

const ours: NetworkPolicyPeer = { podSelector: { matchLabels: { "app.kubernetes.io/part-of": PART_OF } } };
const nats: NetworkPolicyPeer = { podSelector: { matchLabels: { "app.kubernetes.io/name": "nats" } } };
/** Namespaces of backends and of Workerman processes. */
const backends: NetworkPolicyPeer = { namespaceSelector: { matchLabels: { "fanwire-backend": "true" } } };
const prometheus: NetworkPolicyPeer = {
  namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "monitoring" } },
};
/** Everything but the metadata service of clouds, which has credentials. */
const internet: NetworkPolicyPeer = { ipBlock: { cidr: "0.0.0.0/0", except: ["169.254.169.254/32"] } };

const tcp = (...ports: (number | string)[]) => ports.map((port) => ({ protocol: "TCP" as const, port }));
const dns = [...tcp(53), { protocol: "UDP" as const, port: 53 }];

/** Denies all traffic of our pods that no other policy allows. The kubelet's probes are always allowed. */
const denyAll: NetworkPolicy = {
  apiVersion: "networking.k8s.io/v1",
  kind: "NetworkPolicy",
  metadata: { name: "fanwire-default", labels: { "app.kubernetes.io/part-of": PART_OF } },
  spec: {
    podSelector: { matchLabels: { "app.kubernetes.io/part-of": PART_OF } },
    policyTypes: ["Ingress", "Egress"],
    ingress: [{ from: [prometheus], ports: tcp("admin") }],
    egress: [{ ports: dns }, { to: [nats], ports: tcp(4222) }],
  },
};

/** NATS accepts our services, its own nodes, and Prometheus. */
const natsPolicy: NetworkPolicy = {
  apiVersion: "networking.k8s.io/v1",
  kind: "NetworkPolicy",
  metadata: { name: "nats", labels: { "app.kubernetes.io/part-of": PART_OF } },
  spec: {
    podSelector: { matchLabels: { "app.kubernetes.io/name": "nats" } },
    policyTypes: ["Ingress"],
    ingress: [
      { from: [ours], ports: tcp(4222) },
      { from: [nats], ports: tcp(4222, 6222) },
      { from: [prometheus], ports: tcp(7777) },
    ],
  },
};

type Rules = { readonly ingress?: NetworkPolicyIngressRule[]; readonly egress?: NetworkPolicyEgressRule[] };

/** Traffic that each service needs beside DNS and NATS. */
const rules: Readonly<Record<Workload["name"], Rules>> = {
  // Clients come from everywhere. A key set (JWKS) is fetched by HTTPS.
  pusher: { ingress: [{ ports: tcp("clients") }], egress: [{ to: [internet], ports: tcp(443) }] },
  publisher: { ingress: [{ from: [backends], ports: tcp("api") }] },
  channel: { ingress: [{ from: [backends], ports: tcp("peers") }] },
  webhooks: { egress: [{ to: [internet], ports: tcp(80, 443) }] },
};

export function policyOf(name: Workload["name"]): NetworkPolicy {
  const { ingress, egress } = rules[name];
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { name, labels: labelsOf(name) },
    spec: {
      podSelector: { matchLabels: selectorOf(name) },
      policyTypes: [...(ingress ? ["Ingress"] : []), ...(egress ? ["Egress"] : [])],
      ...(ingress && { ingress }),
      ...(egress && { egress }),
    },
  };
}

export const sharedPolicies: readonly NetworkPolicy[] = [denyAll, natsPolicy];
