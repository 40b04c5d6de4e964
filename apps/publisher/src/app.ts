import type { Log } from "@fanwire/service";
import { OpenAPIHono } from "@hono/zod-openapi";
import type { Context, ErrorHandler, MiddlewareHandler } from "hono";
import { routePath } from "hono/route";
import type { Api, ApiParts, Env } from "./http/api.ts";
import { requireKey } from "./http/api-keys.ts";
import { allowOrigins } from "./http/cors.ts";
import { ApiError, type ErrorCode, errorBody, errorEntry } from "./http/errors.ts";
import { refuseForeignRequests } from "./http/foreign-requests.ts";
import { RefusalLog } from "./http/refusal-log.ts";
import { isDecodable, routedPath } from "./http/request-target.ts";
import { describeIssues, describeQueryIssues } from "./http/validation-errors.ts";
import type { PublisherMetrics } from "./metrics.ts";
import { addClassicRoute } from "./routes/classic.ts";
import { addClientScriptRoutes } from "./routes/client-script.ts";
import { addConnectionListRoute } from "./routes/connection-list.ts";
import { addConnectionsRoutes } from "./routes/connections.ts";
import { addConsoleRoutes } from "./routes/console.ts";
import { addDocsRoutes } from "./routes/docs.ts";
import { addHistoryRoute } from "./routes/history.ts";
import { addKeyRoute } from "./routes/key.ts";
import { addMembersRoute } from "./routes/members.ts";
import { addPublicationsRoute } from "./routes/publications.ts";
import { pusherTarget } from "./routes/pusher/request-target.ts";
import { addPusherRoutes } from "./routes/pusher/routes.ts";
import { addStartPage } from "./routes/start.ts";
import { addSubscriptionsRoutes } from "./routes/subscriptions.ts";
import { addTopicsRoute } from "./routes/topics.ts";
import { addTraceRoute } from "./routes/trace.ts";
import { addUserListRoute } from "./routes/user-list.ts";
import { addUsersRoutes } from "./routes/users.ts";
import { addWorkersRoute } from "./routes/workers.ts";

type PathOptions = Parameters<typeof routedPath>[1];
type AppParts = ApiParts & { readonly metrics: PublisherMetrics; readonly log: Log };

/**
 * Assembles the HTTP API. A request passes the check of its origin, the counters, the limit of requests in flight, the key
 * check and its route.
 */
export function createApi(parts: AppParts): Api {
  const api: Api = new OpenAPIHono<Env>({
    getPath: (request, options?: PathOptions) => pusherRoute(options) ?? routedPath(request, options),
    defaultHook: (result, c) => {
      if (result.success) return;
      const { issues } = result.error;
      const details = result.target === "query" ? describeQueryIssues(issues, c.req.queries()) : describeIssues(issues);
      throw new ApiError("invalid_request", { details });
    },
  });
  const refusals = new RefusalLog(parts.log);
  // Before the limit of requests in flight: a page cannot read a refusal without these headers. Preflight requests are
  // not counted.
  if (parts.config.corsOrigins.length > 0) api.use("/v1/*", allowOrigins(parts.config.corsOrigins));
  api.use(observe(parts, refusals));
  addStartPage(api, parts);
  if (parts.keys.isOpen) for (const path of ["/", "/v1/*"]) api.use(path, refuseForeignRequests);
  else api.use("/v1/*", requireKey(parts.keys));

  addClassicRoute(api, parts);
  addPublicationsRoute(api, parts);
  addConnectionListRoute(api, parts);
  addConnectionsRoutes(api, parts);
  addSubscriptionsRoutes(api, parts);
  addTopicsRoute(api, parts);
  addMembersRoute(api, parts);
  addUserListRoute(api, parts);
  addUsersRoutes(api, parts);
  addHistoryRoute(api, parts);
  addWorkersRoute(api, parts);
  addKeyRoute(api, parts);
  addTraceRoute(api, parts);
  addPusherRoutes(api, parts);
  addDocsRoutes(api, parts);
  addConsoleRoutes(api, parts);
  addClientScriptRoutes(api);
  refuseOtherMethods(api);

  api.notFound((c) => refuse(c, new ApiError("not_found"), refusals));
  api.onError(errorHandler(parts.log, refusals));
  return api;
}

/**
 * Counts requests, and refuses those over the limit or with an invalid URL. One middleware, because each costs every
 * request.
 */
function observe({ metrics, log, config, bodies }: AppParts, refusals: RefusalLog): MiddlewareHandler<Env> {
  return async (c, next) => {
    const startedAt = performance.now();
    metrics.inFlight++;

    const refusal = refusalOf(c, metrics.inFlight > config.maxInFlight);
    if (refusal === undefined) await next();
    else c.res = refuse(c, new ApiError(refusal), refusals);

    const seconds = (performance.now() - startedAt) / 1_000;
    metrics.inFlight--;
    // Tests of the document send requests without a connection.
    if (c.env !== undefined) bodies.release(c.env);
    const observed = { route: routeLabel(c), method: c.req.method, status: c.res.status, seconds };
    metrics.countRequest(observed);
    // Not the URL, because its query may contain a key and content.
    log.debug(observed, "request answered");
  };
}

/** Returns why a request is refused before its route sees it. */
function refusalOf(c: Context<Env>, isOneTooMany: boolean): ErrorCode | undefined {
  if (isOneTooMany) return "too_many_requests";
  if (isWebSocket(c)) return "no_websockets";
  return isReadable(c) ? undefined : "malformed_target";
}

function isWebSocket(c: Context<Env>): boolean {
  return c.env?.incoming?.headers.upgrade?.toLowerCase() === "websocket";
}

/**
 * Whether the URL is UTF-8. The classic route accepts any bytes, and Pusher SDKs do not escape what they put into a
 * path.
 */
function isReadable(c: Context<Env>): boolean {
  // Tests of the document send requests without a connection.
  const target = c.env?.incoming?.url ?? "";
  return c.req.path === "/" || isDecodable(target) || pusherTarget(target) !== undefined;
}

/** Returns the path of a route of the Pusher HTTP API. */
function pusherRoute(options: PathOptions | undefined): string | undefined {
  return pusherTarget(options?.env?.incoming?.url ?? "")?.route;
}

/** Returns the pattern of the route. Patterns with a star belong to middleware. */
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

function errorHandler(log: Log, refusals: RefusalLog): ErrorHandler<Env> {
  return (error, c) => {
    if (error instanceof ApiError) {
      // The bus logs once that NATS is disconnected. A log line for each request would repeat it.
      if (errorEntry(error.code).status >= 500 && error.code !== "nats_unavailable") {
        log.warn({ code: error.code, reason: error.message, err: error.cause, route: routeLabel(c) }, "request failed");
      }
      return refuse(c, error, refusals);
    }
    log.error({ err: error, route: routeLabel(c) }, "unexpected error in a request");
    return answerError(c, new ApiError("internal"));
  };
}

/** Answers with an error, and logs it if the request was refused. */
function refuse(c: Context<Env>, error: ApiError, refusals: RefusalLog) {
  const { code, details } = error;
  const remoteAddress = c.env?.incoming?.socket?.remoteAddress;
  refusals.add({ code, route: routeLabel(c), remoteAddress, field: details?.[0]?.field });
  return answerError(c, error);
}

function answerError(c: Context, { code, message, details }: ApiError) {
  const { status, headers } = errorEntry(code);
  return c.json(errorBody(code, message, details), status, headers);
}
