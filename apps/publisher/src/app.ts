import type { Subjects } from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import type { HttpBindings } from "@hono/node-server";
import { OpenAPIHono } from "@hono/zod-openapi";
import type { Context, ErrorHandler, MiddlewareHandler } from "hono";
import { routePath } from "hono/route";
import type { Cluster } from "./cluster/cluster-client.ts";
import type { PublisherHistory } from "./cluster/history.ts";
import type { PublisherConfig } from "./config.ts";
import { type ApiKeys, requireKey } from "./http/api-keys.ts";
import { ApiError, errorBody, errorEntry } from "./http/errors.ts";
import { refuseStrangers } from "./http/foreign-requests.ts";
import type { JsonBodies } from "./http/json-body.ts";
import { isDecodable, routedPath } from "./http/request-target.ts";
import { describeIssues } from "./http/validation-errors.ts";
import type { PublisherMetrics } from "./metrics.ts";
import { addSeedRoute } from "./routes/classic.ts";
import { addConnectionsRoutes } from "./routes/connections.ts";
import { addDocsRoutes } from "./routes/docs.ts";
import { addHistoryRoute } from "./routes/history.ts";
import { addPublicationsRoute } from "./routes/publications.ts";
import { addFollowingRoutes } from "./routes/subscriptions.ts";
import { addTryRoutes } from "./routes/try.ts";
import { addClusterRoute } from "./routes/workers.ts";

type Env = { Bindings: HttpBindings };
export type Api = OpenAPIHono<Env>;

export type ApiParts = {
  readonly config: PublisherConfig;
  readonly cluster: Cluster;
  readonly history: PublisherHistory;
  readonly subjects: Subjects;
  readonly keys: ApiKeys;
  readonly bodies: JsonBodies;
  readonly metrics: PublisherMetrics;
  readonly log: Log;
};

/** The HTTP API. Every request passes, in this order: counting, the bound on requests in flight, its key, its route. */
export function createApi(parts: ApiParts): Api {
  const api: Api = new OpenAPIHono<Env>({
    getPath: routedPath,
    defaultHook: (result) => {
      if (!result.success) throw new ApiError("invalid_request", { details: describeIssues(result.error.issues) });
    },
  });
  api.use(observe(parts));
  if (parts.keys.isOpen) for (const path of ["/", "/v1/*"]) api.use(path, refuseStrangers);
  else api.use("/v1/*", requireKey(parts.keys));

  addSeedRoute(api, parts);
  addPublicationsRoute(api, parts);
  addConnectionsRoutes(api, parts);
  addFollowingRoutes(api, parts);
  addHistoryRoute(api, parts);
  addClusterRoute(api, parts);
  addDocsRoutes(api, parts);
  addTryRoutes(api, parts);
  refuseOtherMethods(api);

  api.notFound((c) => answerError(c, new ApiError("not_found")));
  api.onError(errorHandler(parts.log));
  return api;
}

/** Counts, and answers what is too much at once, or no address, itself. One for all: each middleware costs every request. */
function observe({ metrics, log, config }: ApiParts): MiddlewareHandler<Env> {
  return async (c, next) => {
    const startedAt = performance.now();
    metrics.inFlight++;

    if (metrics.inFlight > config.maxInFlight) c.res = answerError(c, new ApiError("too_many_requests"));
    else if (!isReadable(c)) c.res = answerError(c, new ApiError("malformed_target"));
    else await next();

    const seconds = (performance.now() - startedAt) / 1_000;
    metrics.inFlight--;
    const observed = { route: routeLabel(c), method: c.req.method, status: c.res.status, seconds };
    metrics.countRequest(observed);
    // Never the URL: its query may hold a key and always holds content.
    log.debug(observed, "answered");
  };
}

/** The classic route takes bytes as they come; all else is UTF-8. */
function isReadable(c: Context<Env>): boolean {
  // Without a connection in tests of the document alone.
  return c.req.path === "/" || isDecodable(c.env?.incoming?.url ?? "");
}

/** The pattern of the route that answered. Patterns with a star are those of middleware. */
function routeLabel(c: Context): string {
  const pattern = routePath(c, -1);
  return pattern.endsWith("*") ? "unmatched" : pattern.replaceAll(/:(\w+)/g, "{$1}");
}

function refuseOtherMethods(api: Api): void {
  const methodsByPath = new Map<string, Set<string>>();
  for (const { path, method } of api.routes) {
    if (method === "ALL") continue;
    const methods = methodsByPath.get(path) ?? new Set();
    methodsByPath.set(path, methods.add(method));
    if (method === "GET") methods.add("HEAD");
  }
  for (const [path, methods] of methodsByPath) {
    api.all(path, (c) => {
      c.header("Allow", [...methods].sort().join(", "));
      throw new ApiError("method_not_allowed");
    });
  }
}

function errorHandler(log: Log): ErrorHandler<Env> {
  return (error, c) => {
    if (error instanceof ApiError) {
      // The bus logs once that NATS is away. A log line for each request would repeat it.
      if (errorEntry(error.code).status >= 500 && error.code !== "nats_unavailable") {
        log.warn(
          { code: error.code, reason: error.message, err: error.cause, route: routeLabel(c) },
          "a request could not be answered",
        );
      }
      return answerError(c, error);
    }
    log.error({ err: error, route: routeLabel(c) }, "a request failed");
    return answerError(c, new ApiError("internal"));
  };
}

function answerError(c: Context, { code, message, details }: ApiError) {
  const { status, headers } = errorEntry(code);
  return c.json(errorBody(code, message, details), status, headers);
}
