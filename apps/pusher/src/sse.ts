import type { HttpRequest, HttpResponse } from "uWebSockets.js";
import { type CloseCode, closeAdvice } from "@fanwire/protocol";
import type { PusherConfig } from "./config.ts";
import { type Connection, type ConnectionState, newConnectionState } from "./connection.ts";
import { encodeWelcome, sseEvent } from "./core/encoding.ts";
import { isAllowedOrigin } from "./core/origins.ts";
import type { Edge } from "./edge.ts";
import type { EdgeApp } from "./edge-app.ts";
import type { Greeter } from "./greeter.ts";
import { answerRefusal, type Decided, type Handshakes } from "./handshake.ts";
import type { Traffic } from "./traffic.ts";

/** Often enough for the proxies that close what is silent, and for uWebSockets.js, which closes responses itself. */
const KEEP_ALIVE_MS = 5_000;
const KEEP_ALIVE = ": \n\n";
/** Readers told to come back do so within this time, each at a random moment of it. */
const RETURN_SPREAD_MS = 5_000;

type SseParts = {
  readonly config: PusherConfig;
  readonly edge: Edge;
  readonly handshakes: Handshakes;
  readonly greeter: Greeter;
  readonly traffic: Traffic;
};

/** The SSE door: `GET /sse`, read by the browser's own EventSource. Returns what stops its timer. */
export function openSseDoor({ app }: EdgeApp, parts: SseParts): { stop(): void } {
  const open = new Set<SseConnection>();
  app.get("/sse", (response, request) => receive(response, request, parts, open));
  const timer = setInterval(() => {
    for (const connection of open) connection.send(KEEP_ALIVE);
  }, KEEP_ALIVE_MS);
  return { stop: () => clearInterval(timer) };
}

function receive(response: HttpResponse, request: HttpRequest, parts: SseParts, open: Set<SseConnection>): void {
  const { edge, handshakes, config, traffic, greeter } = parts;
  const origin = request.getHeader("origin");
  const lastEventId = request.getHeader("last-event-id");

  const settle = (decided: Decided) => {
    if (decided.outcome === "refused") {
      answerRefusal(response, decided);
      return;
    }
    const { grant, query } = decided;
    const state = newConnectionState({ connectionId: edge.nextConnectionId(), door: "sse", grant });
    const connection = new SseConnection({ response, state, traffic, unsentLimit: config.limits.unsentBytes });
    const closed = (code: number) => {
      open.delete(connection);
      edge.close(connection, code);
    };
    connection.onEnd = closed;
    response.onAborted(() => connection.onGone());
    writeHead(response, origin, config.allowedOrigins);
    open.add(connection);
    greeter.open(connection, { ...query, since: lastEventId || query.since }, (welcome) => {
      connection.send(sseEvent({ event: "fanwire.welcome", data: encodeWelcome(welcome), id: welcome.position }));
      if (welcome.recovered !== false) return;
      const gap = { reason: welcome.reason };
      connection.send(sseEvent({ event: "fanwire.gap", data: JSON.stringify(gap) }));
    });
  };

  const received = handshakes.receive(response, request);
  if (received?.outcome === "unverified") void settleLater(response, handshakes.verify(received), settle);
  else if (received) settle(received);
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

function writeHead(response: HttpResponse, origin: string, allowedOrigins: readonly string[]): void {
  response
    .writeStatus("200 OK")
    .writeHeader("Content-Type", "text/event-stream; charset=utf-8")
    .writeHeader("Cache-Control", "no-store")
    // nginx and others would hold events back to fill a buffer.
    .writeHeader("X-Accel-Buffering", "no");
  if (origin === "" || !isAllowedOrigin(origin, allowedOrigins)) return;
  response.writeHeader("Access-Control-Allow-Origin", origin).writeHeader("Vary", "Origin");
}

/** One event stream, with the manners of a WebSocket. */
class SseConnection implements Connection {
  /** Called once, when it has ended for whatever reason. */
  onEnd: (code: number) => void = () => {};

  readonly #response: HttpResponse;
  readonly #state: ConnectionState;
  readonly #traffic: Traffic;
  readonly #unsentLimit: number;
  readonly #remoteAddress: ArrayBuffer;
  #unsentBytes = 0;
  #hasEnded = false;

  constructor(options: {
    readonly response: HttpResponse;
    readonly state: ConnectionState;
    readonly traffic: Traffic;
    readonly unsentLimit: number;
  }) {
    this.#response = options.response;
    this.#state = options.state;
    this.#traffic = options.traffic;
    this.#unsentLimit = options.unsentLimit;
    this.#remoteAddress = options.response.getRemoteAddressAsText().slice(0);
  }

  getUserData(): ConnectionState {
    return this.#state;
  }

  getBufferedAmount(): number {
    return this.#unsentBytes;
  }

  getRemoteAddressAsText(): ArrayBuffer {
    return this.#remoteAddress;
  }

  send(frame: string | Uint8Array): number {
    if (this.#hasEnded) return 2;
    if (this.#unsentBytes > this.#unsentLimit) {
      this.#traffic.drops++;
      this.#traffic.ended["unsent-bytes"]++;
      this.close();
      return 2;
    }
    let isTaken = false;
    this.#response.cork(() => {
      isTaken = this.#response.write(frame);
    });
    // uWebSockets.js does not say how much of a response it holds. Since it last held nothing, it was at most this.
    this.#unsentBytes = isTaken ? 0 : this.#unsentBytes + Buffer.byteLength(frame);
    return isTaken ? 1 : 0;
  }

  cork(writing: () => void): void {
    if (!this.#hasEnded) this.#response.cork(writing);
  }

  /** What is final tells the reader why; an EventSource comes back and is refused then. Otherwise it comes back spread. */
  end(code: number, reason: string): void {
    if (this.#hasEnded) return;
    const farewell =
      closeAdvice(code) === "stop"
        ? sseEvent({
            event: "fanwire.close",
            data: JSON.stringify({ code, reason } satisfies Omit<CloseCode, "advice">),
          })
        : `retry: ${Math.ceil(Math.random() * RETURN_SPREAD_MS)}\n\n`;
    this.#hasEnded = true;
    this.#response.cork(() => this.#response.end(farewell));
    this.onEnd(code);
  }

  /** The other side has gone: the response must not be touched any more. */
  onGone(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.onEnd(1006);
  }

  close(): void {
    if (this.#hasEnded) return;
    this.onGone();
    this.#response.close();
  }
}
