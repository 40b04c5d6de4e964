import type { HttpRequest, HttpResponse } from "uWebSockets.js";
import { type CloseCode, closeAdvice } from "@fanwire/protocol";
import { isAllowedOrigin } from "@fanwire/service";
import type { ClientProtocol } from "../connections/client-protocol.ts";
import { newConnectionState } from "../connections/connection.ts";
import { startSession, welcomeOf } from "../recovery/start-session.ts";
import { encodeWelcome } from "../wire/fanwire-messages.ts";
import { listFields } from "../wire/presence.ts";
import { PRESENCE_EVENT, SSE_COMMENT, sseEvent, sseRetry } from "../wire/sse-events.ts";
import { bytesOf, type Decided, type HandshakeRequest, readHandshakeRequest } from "./handshake.ts";
import { answerError, answerRefusal, isTemporary, type TurnedAway, turnedAway } from "./refusals.ts";
import type { RequestPace } from "./request-pace.ts";
import { ResponseConnection } from "./response-connection.ts";
import type { ServingParts } from "./served-protocol.ts";
import { KeepAlive } from "./sse-keep-alive.ts";
import type { UwsApp } from "./uws-app.ts";

/** Readers reconnect after a random time between these, so that those of a worker do not return at the same time. */
const MIN_RETRY_MS = 1_000;
const MAX_RETRY_MS = 5_000;
const ALLOWED_METHODS = "GET, OPTIONS";
const wrongMethod = {
  status: "405 Method Not Allowed",
  code: "method_not_allowed",
  message: "read /sse with GET",
} as const;
/** Time that a browser may remember the answer to a preflight. */
const PREFLIGHT_SECONDS = 7_200;

/** Parts of a request that are needed in later ticks, when uWebSockets.js has forgotten it. */
type StreamRequest = {
  readonly handshake: HandshakeRequest;
  readonly origin: string;
  readonly lastEventId: string;
  readonly forwardedAddress: string | undefined;
};

/** Opens the route of event streams. Returns what stops its timer. */
export function openSseRoute({ app, pace }: UwsApp, protocol: ClientProtocol, parts: ServingParts): { stop(): void } {
  const route = new SseRoute(protocol, parts, pace);
  app.get("/sse", (response, request) => route.onRequest(response, request));
  app.options("/sse", (response, request) => route.onPreflight(response, request));
  app.any("/sse", (response, request) => route.onOtherMethod(response, request));
  return route;
}

class SseRoute {
  readonly #protocol: ClientProtocol;
  readonly #parts: ServingParts;
  readonly #pace: RequestPace;
  readonly #keepAlive = new KeepAlive();

  constructor(protocol: ClientProtocol, parts: ServingParts, pace: RequestPace) {
    this.#protocol = protocol;
    this.#parts = parts;
    this.#pace = pace;
  }

  stop(): void {
    this.#keepAlive.stop();
  }

  onRequest(response: HttpResponse, request: HttpRequest): void {
    const { addresses } = this.#parts;
    const sent = {
      handshake: readHandshakeRequest(request, [], { takesPresence: true }),
      origin: request.getHeader("origin"),
      lastEventId: request.getHeader("last-event-id"),
      forwardedAddress: addresses.forwarded(request, response),
    };
    const textBytes = bytesOf(sent.handshake) + sent.origin.length + sent.lastEventId.length;
    this.#pace.answer(response, textBytes, () => this.#receive(response, sent));
  }

  #receive(response: HttpResponse, sent: StreamRequest): void {
    const { handshakes } = this.#parts;
    const received = handshakes.receiveRequest(sent.origin, sent.handshake);
    const apply = (decided: Decided | TurnedAway) => this.#applyDecision(response, decided, sent);
    if (received.outcome === "undecided") void applyLater(response, handshakes.decide(received), apply);
    else apply(received);
  }

  #applyDecision(response: HttpResponse, decided: Decided | TurnedAway, sent: StreamRequest): void {
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
      answerRefusal(response, decided, { writeHeaders: () => this.#allowOrigin(response, origin) });
      return;
    }
    // An EventSource does not reconnect after any other status.
    this.#writeHead(response, origin);
    // Closes the TCP connection too, because over it the reader would reach this worker again.
    response.end(`: ${decided.message}\n${sseRetry(randomRetryMs())}`, true);
  }

  #open(
    response: HttpResponse,
    { origin, forwardedAddress }: StreamRequest,
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
      comment: SSE_COMMENT,
      farewell,
    });
    response.onAborted(() => connection.onAborted());
    this.#writeHead(response, origin);
    // The reader must close its TCP connection after the stream, because over it the reader would reach a worker that
    // is stopping.
    response.writeHeader("Connection", "close");
    // Replaces the value of an earlier stream.
    if (connection.send(sseRetry(randomRetryMs())) === 0) {
      // The reader has not read an earlier stream on the TCP connection. Many of them would fill memory.
      counters.drops++;
      connection.close();
      return;
    }
    connection.onEnd = (code, reason) => {
      this.#keepAlive.remove(connection);
      hub.close(connection, code, reason);
    };
    this.#keepAlive.add(connection);
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
    const { connectionId, grant } = connection.getUserData();
    // Its welcome may have closed the stream, and then it would never leave.
    if (hub.connection(connectionId) !== connection) return;
    const { user = "", info } = grant;
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
    this.#pace.answer(response, origin.length, () => this.#answerPreflight(response, origin));
  }

  #answerPreflight(response: HttpResponse, origin: string): void {
    const { allowedOrigins } = this.#parts.config;
    if (!isAllowedOrigin(origin, allowedOrigins)) {
      answerRefusal(response, turnedAway("origin"));
      return;
    }
    // Not 204, which must not have the `Content-Length: 0` that uWebSockets.js writes when it closes a connection.
    response.writeStatus("200 OK").writeHeader("Allow", ALLOWED_METHODS);
    this.#allowOrigin(response, origin);
    response
      .writeHeader("Access-Control-Allow-Methods", "GET")
      // `*` does not include Authorization.
      .writeHeader("Access-Control-Allow-Headers", "Authorization, Cache-Control, Last-Event-ID, *")
      .writeHeader("Access-Control-Max-Age", String(PREFLIGHT_SECONDS))
      // Closes the connection, because one that sends requests and reads no answer would fill memory.
      .end("", true);
  }

  onOtherMethod(response: HttpResponse, request: HttpRequest): void {
    const origin = request.getHeader("origin");
    answerError(response, wrongMethod, {
      isHead: request.getMethod() === "head",
      writeHeaders: () => {
        response.writeHeader("Allow", ALLOWED_METHODS);
        this.#allowOrigin(response, origin);
      },
    });
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

async function applyLater(
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
