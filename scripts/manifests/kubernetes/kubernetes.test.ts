import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { EnvVar, PodSpec } from "kubernetes-types/core/v1.js";
import { expect, test } from "vitest";
import { readConfig as readChannel } from "../../../apps/channel/src/config.ts";
import { readConfig as readPublisher } from "../../../apps/publisher/src/config.ts";
import { readConfig as readPusher } from "../../../apps/pusher/src/config.ts";
import { readConfig as readWebhooks } from "../../../apps/webhooks/src/config.ts";
import { knownSettings } from "../../../packages/service/src/known-settings.ts";
import { generatedFiles, manifestsOf } from "../generated-files.ts";
import { natsValues } from "./nats-values.ts";
import { sharedSettings, workloads } from "./services.ts";
import { deploymentOf, selectorOf, serviceOf, type Workload } from "./workload.ts";

const ROOT = new URL("../../../", import.meta.url);
const KUBERNETES = fileURLToPath(new URL("deploy/kubernetes/", ROOT));

/** A valid value of each key of the Secret. */
const secrets: Readonly<Record<string, string>> = Object.fromEntries(
  readFileSync(`${KUBERNETES}secret.example.env`, "utf8")
    .split("\n")
    .filter((line) => /^[a-z]/.test(line))
    .map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
);
const readers: Readonly<Record<Workload["name"], (env: NodeJS.ProcessEnv) => unknown>> = {
  pusher: readPusher,
  publisher: readPublisher,
  channel: readChannel,
  webhooks: readWebhooks,
};

/** Stops of a service beyond its drain, as its source has them. */
const LONGEST_STOP_SECONDS = 10;

function podOf(workload: Workload): PodSpec {
  return deploymentOf(workload).spec?.template.spec ?? expect.fail("no pod");
}

function containerOf(workload: Workload) {
  return podOf(workload).containers[0] ?? expect.fail("no container");
}

function settingOf({ name, value, valueFrom }: EnvVar): [string, string] {
  const key = valueFrom?.secretKeyRef?.key ?? "";
  return [name, value ?? secrets[key] ?? expect.fail(`${name}: no key "${key}" in secret.example.env`)];
}

test("the generated files of deploy/ are those of npm run manifests", () => {
  for (const [path, text] of generatedFiles(ROOT)) {
    expect(readFileSync(new URL(path, ROOT), "utf8"), `${path}: run npm run manifests`).toBe(text);
  }
});

test.for(workloads.map((workload) => [workload.name, workload] as const))(
  "%s: the service accepts the settings of its pod",
  ([name, workload]) => {
    const env = { ...sharedSettings, ...Object.fromEntries((containerOf(workload).env ?? []).map(settingOf)) };

    expect(() => readers[name](env)).not.toThrow();
    expect(Object.keys(env).filter((key) => !knownSettings.includes(key))).toEqual([]);
  },
);

test("a pod has more time to stop than its drain takes", () => {
  for (const workload of workloads) {
    const { terminationGracePeriodSeconds = 0 } = podOf(workload);
    const preStop = containerOf(workload).lifecycle?.preStop?.sleep?.seconds ?? 0;

    expect(terminationGracePeriodSeconds, workload.name).toBeGreaterThanOrEqual(
      preStop + workload.drainSeconds + LONGEST_STOP_SECONDS,
    );
  }
});

test("every probe and every Service names a port of the container, and selects its pods", () => {
  for (const workload of workloads) {
    const container = containerOf(workload);
    const ports = container.ports?.map(({ name }) => name) ?? [];
    for (const probe of [container.startupProbe, container.livenessProbe, container.readinessProbe]) {
      expect(ports, workload.name).toContain(probe?.httpGet?.port);
    }
    if (workload.port === undefined) continue;
    const service = serviceOf(workload, workload.port).spec;
    expect(ports).toContain(service?.ports?.[0]?.targetPort);
    expect(deploymentOf(workload).spec?.template.metadata?.labels).toMatchObject(service?.selector ?? {});
    expect(service?.selector).toEqual(selectorOf(workload.name));
  }
});

test("no pod runs as root, writes to its file system, or has an API token", () => {
  for (const workload of workloads) {
    const pod = podOf(workload);
    expect(pod).toMatchObject({
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: "RuntimeDefault" } },
    });
    expect(containerOf(workload).securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    });
  }
});

test("NATS gets every password that its users have", () => {
  const users = readFileSync(new URL("deploy/nats-users.conf", ROOT), "utf8");
  const { container } = natsValues(users);

  const wanted = [...users.matchAll(/password: \$(\w+)/g)].map(([, name]) => name);
  expect(Object.keys(container.env)).toEqual(expect.arrayContaining(wanted));
  for (const { valueFrom } of Object.values(container.env) as EnvVar[]) {
    if (valueFrom) expect(Object.keys(secrets)).toContain(valueFrom.secretKeyRef?.key);
  }
});

const hasKubectl = spawnSync("kubectl", ["version", "--client"], { stdio: "ignore" }).status === 0;

test.skipIf(!hasKubectl)("kubectl builds the overlay with all manifests and the settings of both layers", () => {
  const { stdout, stderr } = spawnSync("kubectl", ["kustomize", `${KUBERNETES}overlays/production`], {
    encoding: "utf8",
  });

  expect(stderr).toBe("");
  const manifests = workloads.reduce((sum, workload) => sum + manifestsOf(workload).length, 0);
  // With the namespace, the ConfigMap and the two shared policies.
  expect(stdout.match(/^kind: /gm)).toHaveLength(manifests + 4);
  expect(stdout).toMatch(/^ {2}FANWIRE_NATS_URL: nats:\/\/nats:4222$/m);
  expect(stdout).toMatch(/^ {2}PUSHER_ALLOWED_ORIGINS: /m);
  expect(stdout.match(/name: fanwire-[a-z0-9]{10}$/gm)).toHaveLength(1 + workloads.length);
});
