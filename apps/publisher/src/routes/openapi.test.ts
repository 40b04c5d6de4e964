import { NatsBus, openJetStreamHistory } from "@fanwire/bus";
import { Subjects } from "@fanwire/protocol";
import { createLog } from "@fanwire/service";
import { expect, onTestFinished, test } from "vitest";
import { createApi } from "../app.ts";
import { Cluster } from "../cluster/cluster-client.ts";
import { ClusterCounters } from "../cluster/counters.ts";
import { Traces } from "../cluster/trace/traces.ts";
import { readConfig } from "../config.ts";
import type { Api } from "../http/api.ts";
import { ApiKeys } from "../http/api-keys.ts";
import { errors } from "../http/errors.ts";
import { JsonBodies } from "../http/json-body.ts";
import { PublisherMetrics } from "../metrics.ts";
import { describeApi } from "./openapi.ts";

async function apiWith(env: Record<string, string> = {}): Promise<Api> {
  const config = readConfig(env);
  const log = createLog("publisher", "silent");
  const bus = new NatsBus({ config: config.bus, name: "test", log });
  const counters = new ClusterCounters();
  const metrics = new PublisherMetrics(bus, counters, config);
  const subjects = new Subjects();
  const history = await openJetStreamHistory({ bus, subjects, config: config.historyLimits, log });
  const { requestTimeoutMs, receiptTimeoutMs } = config;
  const cluster = new Cluster({ bus, history, subjects, requestTimeoutMs, receiptTimeoutMs, counters, log });
  onTestFinished(() => cluster.stop());
  const traces = new Traces({ bus, history, subjects, counters, log });
  const bodies = new JsonBodies(config, metrics);
  const keys = new ApiKeys(config.apiKeys);
  return createApi({ config, cluster, history, traces, subjects, keys, bodies, metrics, log });
}

const APPS = { FANWIRE_PUSHER_APPS: JSON.stringify([{ id: "1001", key: "k", secret: "s" }]) };
const METHODS = ["get", "head", "post", "put", "delete", "patch", "options"];

test("the document describes all routes and nothing else", async () => {
  const api = await apiWith(APPS);
  const paths = describeApi(api, { hasKeys: false }).paths ?? {};

  const described = Object.entries(paths).flatMap(([path, item]) =>
    Object.keys(item).map((method) => `${method.toUpperCase()} ${path}`),
  );
  const routed = api.routes
    .filter(({ method, path }) => method !== "ALL" && !/^\/(docs.*|openapi.json|console.*|try|client.*)$/.test(path))
    .map(({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/g, "{$1}")}`);
  const heads = ["HEAD /", "HEAD /v1/connections/{address}"];
  expect(described.sort()).toEqual([...new Set([...routed, ...heads])].sort());
});

test("limits of lists are described as integers with a range and a default", async () => {
  const { paths = {} } = describeApi(await apiWith(), { hasKeys: false });
  const limits = Object.values(paths).flatMap(({ get }) =>
    (get?.parameters ?? []).filter((parameter) => "name" in parameter && parameter.name === "limit"),
  );

  expect(limits).toHaveLength(6);
  for (const limit of limits) {
    const schema = { type: "integer", minimum: 1, maximum: expect.any(Number), default: 100 };
    expect(limit).toMatchObject({ in: "query", required: false, schema });
  }
});

test("the document is complete: unique ids, tags, path parameters, responses, valid references", async () => {
  const document = describeApi(await apiWith({ PUBLISHER_API_KEYS: "0123456789abcdef", ...APPS }), { hasKeys: true });

  expect(document.openapi).toBe("3.1.0");
  const operations = Object.entries(document.paths ?? {}).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ path, method, operation })),
  );
  const tags = document.tags?.map(({ name }) => name);
  const ids = operations.map(({ operation }) => operation.operationId);
  expect(new Set(ids).size).toBe(ids.length);
  for (const { path, method, operation } of operations) {
    expect(METHODS).toContain(method);
    expect(tags, path).toContain(operation.tags?.[0]);
    expect(Object.keys(operation.responses).some((status) => status.startsWith("2"))).toBe(true);
    const wanted = [...path.matchAll(/{(\w+)}/g)].map(([, name]) => name);
    const given = (operation.parameters ?? []).filter((parameter: { in: string }) => parameter.in === "path");
    expect(given.map((parameter: { name: string }) => parameter.name)).toEqual(wanted);
  }
  for (const [, name] of JSON.stringify(document).matchAll(/"#\/components\/schemas\/(\w+)"/g)) {
    expect(document.components?.schemas).toHaveProperty(name ?? "");
  }
});

test("every operation documents the errors of any request, and every error code is documented", async () => {
  const document = describeApi(await apiWith(APPS), { hasKeys: false });

  for (const [path, item] of Object.entries(document.paths ?? {})) {
    for (const [method, { responses }] of Object.entries(item)) {
      expect(Object.keys(responses), `${method} ${path}`).toEqual(
        expect.arrayContaining(["400", "403", "405", "408", "429", "431", "500"]),
      );
    }
  }
  // No operation returns these, which are for unknown paths and for the Pusher HTTP API without apps.
  const described = JSON.stringify(document.paths);
  const undescribed = ["not_found", "pusher_off", "console_off"];
  const codes = Object.keys(errors).filter((code) => !undescribed.includes(code));
  expect(codes.filter((code) => !described.includes(`\`${code}\``))).toEqual([]);
});

test("the document has security schemes if there are keys", async () => {
  const open = describeApi(await apiWith(), { hasKeys: false });
  const closed = describeApi(await apiWith({ PUBLISHER_API_KEYS: "0123456789abcdef" }), { hasKeys: true });

  expect(open.security).toBeUndefined();
  expect(JSON.stringify(open)).not.toContain("securitySchemes");
  expect(closed.security).toEqual([{ bearer: [] }]);
  expect(closed.paths?.["/"]?.get?.security).toEqual([{ bearer: [] }, { key: [] }]);
  expect(Object.keys(closed.components?.securitySchemes ?? {})).toEqual(["bearer", "key"]);
});

test("the Pusher HTTP API is described only if there are apps, and its signature is its security", async () => {
  const without = describeApi(await apiWith(), { hasKeys: false });
  const document = describeApi(await apiWith(APPS), { hasKeys: false });

  expect(Object.keys(without.paths ?? {}).filter((path) => path.startsWith("/apps"))).toEqual([]);
  expect(document.paths?.["/apps/{app_id}/events"]?.post?.security).toEqual([{ signature: [] }]);
  expect(Object.keys(document.components?.securitySchemes ?? {})).toEqual(["signature"]);
  expect(document.security).toBeUndefined();
});

test.each([
  [{}, true],
  [{ PUBLISHER_HOST: "0.0.0.0" }, false],
  [{ PUBLISHER_HOST: "::", PUBLISHER_CONSOLE: "on" }, true],
  [{ PUBLISHER_HOST: "0.0.0.0", PUBLISHER_API_KEYS: "0123456789abcdef" }, true],
  [{ PUBLISHER_CONSOLE: "off", PUBLISHER_API_KEYS: "0123456789abcdef" }, false],
])("with %o the console is served: %s", async (env, isThere) => {
  const api = await apiWith(env);

  expect((await api.request("/console")).status).toBe(isThere ? 200 : 404);
  expect((await api.request("/console/console.js")).status).toBe(isThere ? 200 : 404);
  expect((await (await api.request("/docs")).text()).includes('href="console"')).toBe(isThere);
});

test("/try leads to the first tab of the console, with the query of the address", async () => {
  const response = await (await apiWith()).request("/try?pusher=ws%3A%2F%2Flocalhost%3A1%2F");

  expect([response.status, response.headers.get("Location")]).toEqual([
    302,
    "console?pusher=ws%3A%2F%2Flocalhost%3A1%2F#try",
  ]);
});
