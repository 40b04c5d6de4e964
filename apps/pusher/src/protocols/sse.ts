import type { HttpRequest, HttpResponse } from "uWebSockets.js";
import type { PusherConfig } from "../config.ts";
import { newConnectionState } from "../connections/connection.ts";
import type { Counters } from "../connections/counters.ts";
import { isAllowedOrigin } from "../connections/origins.ts";
import type { Hub } from "../hub/hub.ts";
import type { Recovery } from "../recovery/recovery.ts";
import { startSession, welcomeOf } from "../recovery/start-session.ts";
import { encodeWelcome, sseEvent, sseRetry } from "../wire/encoding.ts";
import type { Decided, Handshakes } from "./handshake.ts";
import { answerRefusal, isPassing, type TurnedAway, turnedAway } from "./refusals.ts";
import { randomRetryMs, SseConnection } from "./sse-connection.ts";
import { KeepAlive } from "./sse-keep-alive.ts";
import type { UwsApp } from "./uws-app.ts";

/** How long a browser may remember the answer to a preflight. */
const PREFLIGHT_SECONDS = 7_200;

type SseParts = {
  readonly config: PusherConfig;
  readonly hub: Hub;
  readonly handshakes: Handshakes;
  readonly recovery: Recovery;
  readonly counters: Counters;
};

/** The SSE protocol: `GET /sse`, read by the browser's own EventSource or with `fetch`. Returns what stops its timer. */
export function openSseProtocol({ app }: UwsApp, parts: SseParts): { stop(): void } {
  const protocol = new SseProtocol(parts);
  app.get("/sse", (response, request) => protocol.onRequest(response, request));
  app.options("/sse", (response, request) => protocol.onPreflight(response, request));
  return protocol;
}

class SseProtocol {
  readonly #parts: SseParts;
  readonly #keepAlive = new KeepAlive();

  constructor(parts: SseParts) {
    this.#parts = parts;
  }

  stop(): void {
    this.#keepAlive.stop();
  }

  onRequest(response: HttpResponse, request: HttpRequest): void {
    const { handshakes } = this.#parts;
    const origin = request.getHeader("origin");
    const lastEventId = request.getHeader("last-event-id");

    const received = handshakes.receive(request);
    const settle = (decided: Decided | TurnedAway) => this.#settle(response, decided, { origin, lastEventId });
    if (received.outcome === "unverified") void settleLater(response, handshakes.verify(received), settle);
    else settle(received);
  }

  #settle(
    response: HttpResponse,
    decided: Decided | TurnedAway,
    { origin, lastEventId }: { readonly origin: string; readonly lastEventId: string },
  ): void {
    if (decided.outcome === "admitted") {
      const { query } = decided;
      // The header is the newest: a polyfill keeps the query with which it began.
      this.#open(response, origin, {
        ...decided,
        query: { ...query, since: lastEventId || query.lastEventId || query.since },
      });
      return;
    }
    if (!isPassing(decided)) {
      answerRefusal(response, decided, () => this.#allowOrigin(response, origin));
      return;
    }
    // Any other status would be final for an EventSource.
    this.#writeHead(response, origin);
    // Closes the TCP connection too: over it the reader would reach this worker again.
    response.end(`: ${decided.message}\n${sseRetry(randomRetryMs())}`, true);
  }

  #open(response: HttpResponse, origin: string, { grant, query }: Extract<Decided, { outcome: "admitted" }>): void {
    const { hub, counters, config } = this.#parts;
    const state = newConnectionState({ connectionId: hub.nextConnectionId(), protocol: "sse", grant });
    const connection = new SseConnection({ response, state, counters, unsentLimit: config.limits.unsentBytes });
    connection.onEnd = (code) => {
      this.#keepAlive.remove(connection);
      hub.close(connection, code);
    };
    response.onAborted(() => connection.onGone());
    this.#writeHead(response, origin);
    // When the stream ends, the reader leaves its TCP connection: over it, it would reach a worker that is stopping.
    response.writeHeader("Connection", "close");
    this.#keepAlive.add(connection);
    // Replaces what an earlier stream may have told the reader.
    connection.send(sseRetry(randomRetryMs()));
    startSession(this.#parts, connection, query, (outcome) => {
      const welcome = welcomeOf(hub, connection, outcome);
      connection.send(sseEvent({ event: "fanwire.welcome", data: encodeWelcome(welcome), id: welcome.position }));
      if (welcome.recovered !== false) return;
      const gap = { reason: welcome.reason };
      connection.send(sseEvent({ event: "fanwire.gap", data: JSON.stringify(gap) }));
    });
  }

  /** For readers of other origins that use `fetch`: an EventSource asks for no preflight. */
  onPreflight(response: HttpResponse, request: HttpRequest): void {
    const origin = request.getHeader("origin");
    const { allowedOrigins } = this.#parts.config;
    if (!isAllowedOrigin(origin, allowedOrigins)) {
      answerRefusal(response, turnedAway("origin"));
      return;
    }
    response.writeStatus("204 No Content").writeHeader("Allow", "GET, OPTIONS");
    this.#allowOrigin(response, origin);
    response
      .writeHeader("Access-Control-Allow-Methods", "GET")
      // `*` does not stand for Authorization.
      .writeHeader("Access-Control-Allow-Headers", "Authorization, Cache-Control, Last-Event-ID, *")
      .writeHeader("Access-Control-Max-Age", String(PREFLIGHT_SECONDS))
      .endWithoutBody();
  }

  #writeHead(response: HttpResponse, origin: string): void {
    response
      .writeStatus("200 OK")
      .writeHeader("Content-Type", "text/event-stream; charset=utf-8")
      // Proxies that compress would hold events back to fill a block.
      .writeHeader("Cache-Control", "no-cache, no-transform")
      // nginx and others would hold events back to fill a buffer.
      .writeHeader("X-Accel-Buffering", "no");
    this.#allowOrigin(response, origin);
  }

  #allowOrigin(response: HttpResponse, origin: string): void {
    if (origin === "" || !isAllowedOrigin(origin, this.#parts.config.allowedOrigins)) return;
    response.writeHeader("Access-Control-Allow-Origin", origin).writeHeader("Vary", "Origin");
  }
}

async function settleLater(
  response: HttpResponse,
  verifying: Promise<Decided>,
  settle: (decided: Decided) => void,
): Promise<void> {
  let isAborted = false;
  response.onAborted(() => {
    isAborted = true;
  });
  const decided = await verifying;
  if (!isAborted) response.cork(() => settle(decided));
}
