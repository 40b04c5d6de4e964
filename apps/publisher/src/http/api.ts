import type { Subjects } from "@fanwire/protocol";
import type { HttpBindings } from "@hono/node-server";
import type { OpenAPIHono } from "@hono/zod-openapi";
import type { Cluster } from "../cluster/cluster-client.ts";
import type { PublisherHistory } from "../cluster/history.ts";
import type { Traces } from "../cluster/trace/traces.ts";
import type { PublisherConfig } from "../config.ts";
import type { ApiKeys } from "./api-keys.ts";
import type { JsonBodies } from "./json-body.ts";

export type Env = { Bindings: HttpBindings };
export type Api = OpenAPIHono<Env>;
export type ApiDocument = ReturnType<Api["getOpenAPI31Document"]>;

/** Everything that the routes need. */
export type ApiParts = {
  readonly config: PublisherConfig;
  readonly cluster: Cluster;
  readonly history: PublisherHistory;
  readonly traces: Traces;
  readonly subjects: Subjects;
  readonly keys: ApiKeys;
  readonly bodies: JsonBodies;
};
