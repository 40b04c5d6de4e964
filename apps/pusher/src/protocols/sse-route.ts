import type { HttpRequest, HttpResponse } from "uWebSockets.js";
import { type CloseCode, closeAdvice } from "@fanwire/protocol";
import type { ClientProtocol } from "../connections/client-protocol.ts";
import { newConnectionState } from "../connections/connection.ts";
import { isAllowedOrigin } from "../connections/origins.ts";
import { startSession, welcomeOf } from "../recovery/start-session.ts";
import { encodeWelcome, PRESENCE_EVENT, sseEvent, sseRetry } from "../wire/encoding.ts";
import { listFields } from "../wire/presence.ts";
import type { Decided } from "./handshake.ts";
import { answerRefusal, isTemporary, type TurnedAway, turnedAway } from "./refusals.ts";
import { ResponseConnection } from "./response-connection.ts";
import type { ServingParts } from "./served-protocol.ts";
import { KeepAlive } from "./sse-keep-alive.ts";
import type { UwsApp } from "./uws-app.ts";

/** Readers reconnect after a random time between these, so that those of a worker do not return at once. */
const MIN_RETRY_MS = 1_000;
const MAX_RETRY_MS = 5_000;
/** Time that a browser may remember the answer to a preflight. */
const PREFLIGHT_SECONDS = 7_200;

/** Parts of a request that are needed in later ticks, when uWebSockets.js has forgotten it. */
type Sent = {
  readonly origin: string;
  readonly lastEventId: string;
  readonly forwardedAddress: string | undefined;
};

/** Opens the route of event streams. Returns what stops its timer. */
export function openSseRoute({ app }: UwsApp, protocol: ClientProtocol, parts: ServingParts): { stop(): void } {
  const route = new SseRoute(protocol, parts);
  app.get("/sse", (response, request) => route.onRequest(response, request));
  app.options("/sse", (response, request) => route.onPreflight(response, request));
  return route;
}

class SseRoute {
  readonly #protocol: ClientProtocol;
  readonly #parts: ServingParts;
  readonly #keepAlive = new KeepAlive();

  constructor(protocol: ClientProtocol, parts: ServingParts) {
    this.#protocol = protocol;
    this.#parts = parts;
  }

  stop(): void {
    this.#keepAlive.stop();
  }

  onRequest(response: HttpResponse, request: HttpRequest): void {
    const { handshakes, addresses } = this.#parts;
    const origin = request.getHeader("origin");
    const lastEventId = request.getHeader("last-event-id");
    const forwardedAddress = addresses.forwarded(request, response);

    const sent = { origin, lastEventId, forwardedAddress };
    const received = handshakes.receive(request, [], { takesPresence: true });
    const settle = (decided: Decided | TurnedAway) => this.#settle(response, decided, sent);
    if (received.outcome === "undecided") void settleLater(response, handshakes.decide(received), settle);
    else settle(received);
  }

  #settle(response: HttpResponse, decided: Decided | TurnedAway, sent: Sent): void {
    const { origin, lastEventId } = sent;
    if (decided.outcome === "admitted") {
      const { query } = decided;
      // The header has the newest position, because polyfills repeat their first query.
      this.#open(response, sent, {
        ...decided,
        query: { ...query, since: lastEventId || query.lastEventId || query.since },
      });
      return;
    }
    if (!isTemporary(decided)) {
      answerRefusal(response, decided, () => this.#allowOrigin(response, origin));
      return;
    }
    // An EventSource does not reconnect after any other status.
    this.#writeHead(response, origin);
    // Closes the TCP connection too, because over it the reader would reach this worker again.
    response.end(`: ${decided.message}\n${sseRetry(randomRetryMs())}`, true);
  }

  #open(
    response: HttpResponse,
    { origin, forwardedAddress }: Sent,
    { grant, query }: Extract<Decided, { outcome: "admitted" }>,
  ): void {
    const { hub, counters, config } = this.#parts;
    const connectionId = hub.nextConnectionId();
    const state = newConnectionState({ connectionId, protocol: this.#protocol, grant, forwardedAddress });
    const connection = new ResponseConnection({
      response,
      state,
      counters,
      unsentLimit: config.limits.unsentBytes,
      farewell,
    });
    connection.onEnd = (code, reason) => {
      this.#keepAlive.remove(connection);
      hub.close(connection, code, reason);
    };
    response.onAborted(() => connection.onAborted());
    this.#writeHead(response, origin);
    // The reader must close its TCP connection after the stream, because over it the reader would reach a worker that is stopping.
    response.writeHeader("Connection", "close");
    this.#keepAlive.add(connection);
    // Replaces the value of an earlier stream.
    connection.send(sseRetry(randomRetryMs()));
    startSession(this.#parts, connection, query, (outcome) => {
      const welcome = welcomeOf(hub, connection, outcome);
      connection.send(sseEvent({ event: "fanwire.welcome", data: encodeWelcome(welcome), id: welcome.position }));
      if (welcome.recovered === false) {
        const gap = { reason: welcome.reason };
        connection.send(sseEvent({ event: "fanwire.gap", data: JSON.stringify(gap) }));
      }
      for (const topic of query.presence) this.#joinPresent(connection, topic);
    });
  }

  /** Sends the members of a topic. Changes follow. */
  #joinPresent(connection: ResponseConnection, topic: string): void {
    const { hub } = this.#parts;
    const { user = "", info } = connection.getUserData().grant;
    hub.presence.join(connection, topic, { user, info }, {}, (outcome) => {
      if (outcome.ok) {
        const data = JSON.stringify({ topic, ...listFields(outcome.list) });
        connection.send(sseEvent({ event: PRESENCE_EVENT, data }));
      } else hub.drop(connection, "memory-budget");
    });
  }

  /** Answers readers of other origins that use `fetch`. An EventSource needs no preflight. */
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
      // `*` does not include Authorization.
      .writeHeader("Access-Control-Allow-Headers", "Authorization, Cache-Control, Last-Event-ID, *")
      .writeHeader("Access-Control-Max-Age", String(PREFLIGHT_SECONDS))
      .endWithoutBody();
  }

  #writeHead(response: HttpResponse, origin: string): void {
    response
      .writeStatus("200 OK")
      .writeHeader("Content-Type", "text/event-stream; charset=utf-8")
      // Proxies that compress would buffer events to fill a block.
      .writeHeader("Cache-Control", "no-cache, no-transform")
      // nginx and others would buffer events.
      .writeHeader("X-Accel-Buffering", "no");
    this.#allowOrigin(response, origin);
  }

  #allowOrigin(response: HttpResponse, origin: string): void {
    if (origin === "" || !isAllowedOrigin(origin, this.#parts.config.allowedOrigins)) return;
    response.writeHeader("Access-Control-Allow-Origin", origin).writeHeader("Vary", "Origin");
  }
}

function randomRetryMs(): number {
  return MIN_RETRY_MS + Math.floor(Math.random() * (MAX_RETRY_MS - MIN_RETRY_MS));
}

/** Returns the last event of a stream. An EventSource reconnects even after a final close code, and is then refused. */
function farewell(code: number, reason: string): string {
  if (closeAdvice(code) !== "stop") return sseRetry(randomRetryMs());
  const data = JSON.stringify({ code, reason } satisfies Omit<CloseCode, "advice">);
  return sseEvent({ event: "fanwire.close", data });
}

async function settleLater(
  response: HttpResponse,
  deciding: Promise<Decided>,
  settle: (decided: Decided) => void,
): Promise<void> {
  let isAborted = false;
  response.onAborted(() => {
    isAborted = true;
  });
  const decided = await deciding;
  if (!isAborted) response.cork(() => settle(decided));
}
