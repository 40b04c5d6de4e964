import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Log } from "./log.ts";

/** Whether the service can work now. `reason` is human-readable. */
export type Readiness = { readonly ready: true } | { readonly ready: false; readonly reason: string };

export type AdminSource = {
  readiness(): Readiness;
  /** Prometheus text format. */
  metrics(): Promise<string>;
};

export type Admin = { readonly port: number; stop(): Promise<void> };

const METRICS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** Node's default of 30 s would let a hundred silent connections block health checks for that time. */
const LATE_CHECK_MS = 1_000;

/**
 * Serves `/healthz` (the process runs), `/readyz` (it can work; else 503 and the reason) and `/metrics`.
 *
 * @throws when the address cannot be bound.
 */
export async function startAdmin(options: {
  readonly host: string;
  readonly port: number;
  readonly source: AdminSource;
  readonly log: Log;
}): Promise<Admin> {
  const { host, port, source, log } = options;
  const answering = new WeakSet<Socket>();
  const server = createServer({ connectionsCheckingInterval: LATE_CHECK_MS }, (request, response) => {
    const { socket } = request;
    if (answering.has(socket)) {
      // Node would keep all answers in memory for a client that sends requests and reads nothing.
      socket.destroy();
      return;
    }
    answering.add(socket);
    response.once("close", () => answering.delete(socket));
    answer(request.url ?? "/", response, source).catch((error: unknown) => {
      log.error({ err: error }, "admin request failed");
      if (!response.headersSent) send(response, 500, "internal error\n");
    });
  });
  server.headersTimeout = 5_000;
  server.requestTimeout = 5_000;
  server.maxConnections = 100;

  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      resolve();
    });
  });

  return {
    port: (server.address() as AddressInfo).port, // a server that listens on TCP has an AddressInfo
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(url: string, response: ServerResponse, source: AdminSource): Promise<void> {
  switch (url.split("?")[0]) {
    case "/healthz":
      return send(response, 200, "ok\n");
    case "/readyz": {
      const readiness = source.readiness();
      return readiness.ready ? send(response, 200, "ready\n") : send(response, 503, `${readiness.reason}\n`);
    }
    case "/metrics":
      return send(response, 200, `${await source.metrics()}${readyMetric(source.readiness())}`, METRICS_CONTENT_TYPE);
    default:
      return send(response, 404, "Not found. See /healthz, /readyz and /metrics.\n");
  }
}

/** Returns the readiness as a metric, so that an alert can see what a load balancer sees. */
function readyMetric({ ready }: Readiness): string {
  const name = "fanwire_ready";
  const help = "1 while the service can do its work (/readyz answers 200), else 0.";
  return `# HELP ${name} ${help}\n# TYPE ${name} gauge\n${name} ${ready ? 1 : 0}\n`;
}

function send(response: ServerResponse, status: number, body: string, contentType = "text/plain; charset=utf-8"): void {
  response.writeHead(status, { "content-type": contentType, "cache-control": "no-store" }).end(body);
}
