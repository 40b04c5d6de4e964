// A CommonJS module that picks its binary at run time: only its default export can be imported.
import uWS, {
  type HttpRequest,
  type HttpResponse,
  type TemplatedApp,
  type us_listen_socket,
  type us_socket_context_t,
  type WebSocket,
} from "uWebSockets.js";
import { isUtf8 } from "node:buffer";
import { setTimeout as delay } from "node:timers/promises";
import { type ConnectionDescription, closeCodes, type DeliveryOutcome } from "@fanwire/protocol";
import type { Limits, PusherConfig } from "./config.ts";
import { Gate, type RefusalReason } from "./core/admission.ts";
import { Connections } from "./core/connections.ts";
import { DRAIN_STEP_MS, drainBatchSize } from "./core/drain.ts";
import { greeting } from "./core/greeting.ts";
import { countInbound, type InboundCount } from "./core/inbound-rate.ts";
import type { EndedBy, Traffic } from "./traffic.ts";

/** What hangs on each socket: small integers only, so that an idle connection stays cheap. */
type ConnectionState = InboundCount & {
  readonly connectionId: number;
  /** Unix time in seconds. */
  readonly openedAt: number;
  isOverUnsentLimit: boolean;
};
type Socket = WebSocket<ConnectionState>;

/** uWebSockets.js' own topic that every raw connection is in; its tree shares one frame between all sockets. */
const EVERYONE = "everyone";

const BINARY = true;

const refusals: Record<RefusalReason, { readonly status: string; readonly body: string }> = {
  draining: { status: "503 Service Unavailable", body: "this worker is stopping, try again\n" },
  "connection-limit": { status: "503 Service Unavailable", body: "this worker is full, try again\n" },
  "handshake-rate": { status: "503 Service Unavailable", body: "too many connections at once, try again\n" },
  origin: { status: "403 Forbidden", body: "pages from this origin may not connect\n" },
};

/** What uWebSockets.js says to the close handler when one of its own limits ended the connection. */
const endedByMessage: Readonly<Record<string, EndedBy>> = {
  "Received too big message": "inbound-bytes",
  "Received too big message, or other inflation error": "inbound-bytes",
  "WebSocket timed out from inactivity": "idle",
};

/** The WebSocket door: the only file that knows uWebSockets.js. Its objects never leave it. */
export class WebSocketDoor {
  readonly #workerId: string;
  readonly #greeting: string;
  readonly #limits: Limits;
  readonly #traffic: Traffic;
  readonly #gate: Gate;
  readonly #connections = new Connections<Socket>();
  readonly #app: TemplatedApp;
  #listenSocket: us_listen_socket | undefined;

  constructor(options: { readonly config: PusherConfig; readonly workerId: string; readonly traffic: Traffic }) {
    const { config, workerId, traffic } = options;
    this.#workerId = workerId;
    this.#greeting = config.greeting;
    this.#limits = config.limits;
    this.#traffic = traffic;
    this.#gate = new Gate({
      maxConnections: config.limits.connections,
      handshakesPerSecond: config.limits.handshakesPerSecond,
      origins: config.allowedOrigins,
      now: () => performance.now(),
    });
    this.#app = uWS
      .App()
      .ws<ConnectionState>("/*", {
        compression: uWS.DISABLED,
        maxPayloadLength: config.limits.inboundBytes,
        maxBackpressure: config.limits.unsentBytes,
        closeOnBackpressureLimit: 1,
        idleTimeout: config.idleSeconds,
        sendPingsAutomatically: true,
        upgrade: (response, request, context) => this.#onUpgrade(response, request, context),
        open: (socket) => this.#onOpen(socket),
        message: (socket) => this.#onInbound(socket),
        ping: (socket) => this.#onInbound(socket),
        dropped: (socket) => this.#onDropped(socket),
        close: (socket, code, message) => this.#onClose(socket, code, message),
      })
      .any("/*", (response) => {
        response
          .writeStatus("426 Upgrade Required")
          .writeHeader("Upgrade", "websocket")
          .writeHeader("Content-Type", "text/plain; charset=utf-8")
          .end("This is Fanwire's WebSocket port. Connect with a WebSocket client.\n");
      });
  }

  get openConnections(): number {
    return this.#connections.size;
  }

  get isDraining(): boolean {
    return this.#gate.isDraining;
  }

  /** Several workers of one machine may listen on the same port. */
  listen(host: string, port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#app.listen(host, port, (listenSocket) => {
        if (listenSocket === false) return reject(new Error(`cannot listen on ${host}:${port}`));
        this.#listenSocket = listenSocket;
        resolve();
      });
    });
  }

  /** Writes one frame to every connection except one. Once per publication: nothing here runs per connection. */
  deliverToEveryone(content: Uint8Array, exceptConnectionId?: number): void {
    const excepted = exceptConnectionId === undefined ? undefined : this.#connections.get(exceptConnectionId);
    const recipients = this.#connections.size - (excepted ? 1 : 0);
    if (recipients === 0) return;

    // A socket's own publish() reaches all others of the topic, an app's reaches all.
    (excepted ?? this.#app).publish(EVERYONE, content, !isUtf8(content));
    this.#traffic.deliveries += recipients;
    this.#traffic.deliveredBytes += recipients * content.length;
  }

  deliverToConnection(connectionId: number, content: Uint8Array): DeliveryOutcome {
    const socket = this.#connections.get(connectionId);
    if (socket === undefined) return "gone";

    const sent = socket.send(content, !isUtf8(content));
    if (sent === 2) return "gone";
    this.#traffic.deliveries++;
    this.#traffic.deliveredBytes += content.length;
    return sent === 1 ? "delivered" : "buffered";
  }

  findConnection(connectionId: number): ConnectionDescription | null {
    const socket = this.#connections.get(connectionId);
    return socket === undefined ? null : this.#describe(socket);
  }

  /** The connection as it was, or null when there is none. */
  closeConnection(connectionId: number): ConnectionDescription | null {
    const socket = this.#connections.get(connectionId);
    if (socket === undefined) return null;

    const description = this.#describe(socket);
    end(socket, closeCodes.closedByApplication);
    return description;
  }

  /** Refuses newcomers, closes all connections evenly over `drainMs`, then the port. Resolves when none is left. */
  async drain(drainMs: number): Promise<void> {
    this.#gate.drain();
    if (this.#listenSocket) uWS.us_listen_socket_close(this.#listenSocket);
    this.#listenSocket = undefined;

    const deadline = performance.now() + drainMs;
    while (this.#connections.size > 0) {
      const batchSize = drainBatchSize(this.#connections.size, deadline - performance.now());
      for (const socket of this.#connections.oldest(batchSize)) end(socket, closeCodes.draining);
      if (this.#connections.size > 0) await delay(DRAIN_STEP_MS);
    }
    this.#app.close();
  }

  #onUpgrade(response: HttpResponse, request: HttpRequest, context: us_socket_context_t): void {
    const admission = this.#gate.admit(request.getHeader("origin"), this.#connections.size);
    if (!admission.ok) {
      this.#traffic.refused[admission.reason]++;
      const { status, body } = refusals[admission.reason];
      response.writeStatus(status).writeHeader("Retry-After", "1").end(body, true);
      return;
    }
    response.upgrade<ConnectionState>(
      {
        connectionId: this.#connections.nextId(),
        openedAt: Math.floor(Date.now() / 1_000),
        inboundSecond: 0,
        inboundCount: 0,
        isOverUnsentLimit: false,
      },
      request.getHeader("sec-websocket-key"),
      "",
      request.getHeader("sec-websocket-extensions"),
      context,
    );
  }

  #onOpen(socket: Socket): void {
    const { connectionId } = socket.getUserData();
    this.#connections.open(connectionId, socket);
    this.#traffic.accepted++;
    socket.subscribe(EVERYONE);
    if (this.#greeting !== "") socket.send(greeting(this.#greeting, this.#workerId, connectionId), !BINARY);
  }

  /** The raw door ignores what clients say, but not how often they say it. */
  #onInbound(socket: Socket): void {
    this.#traffic.inboundMessages++;
    const nowSecond = Math.floor(performance.now() / 1_000);
    if (countInbound(socket.getUserData(), nowSecond, this.#limits.inboundPerSecond)) return;
    this.#traffic.ended["inbound-rate"]++;
    end(socket, closeCodes.inboundRate);
  }

  #onDropped(socket: Socket): void {
    this.#traffic.drops++;
    const state = socket.getUserData();
    // uWebSockets.js ends the connection itself; until then more may be dropped.
    if (!state.isOverUnsentLimit) this.#traffic.ended["unsent-bytes"]++;
    state.isOverUnsentLimit = true;
  }

  #onClose(socket: Socket, code: number, message: ArrayBuffer): void {
    this.#connections.close(socket.getUserData().connectionId);
    const endedBy = code === 1006 ? endedByMessage[Buffer.from(message).toString("latin1")] : undefined;
    if (endedBy !== undefined) this.#traffic.ended[endedBy]++;
    const label = closeCodeLabel(code);
    this.#traffic.closedByCode.set(label, (this.#traffic.closedByCode.get(label) ?? 0) + 1);
  }

  #describe(socket: Socket): ConnectionDescription {
    const { connectionId, openedAt } = socket.getUserData();
    return {
      address: `${this.#workerId}.${connectionId}`,
      door: "raw",
      remoteAddress: Buffer.from(socket.getRemoteAddressAsText()).toString("latin1"),
      openedAt: new Date(openedAt * 1_000).toISOString(),
      unsentBytes: socket.getBufferedAmount(),
    };
  }
}

function end(socket: Socket, { code, reason }: { code: number; reason: string }): void {
  socket.end(code, reason);
}

const ownCodes: ReadonlySet<number> = new Set(Object.values(closeCodes).map(({ code }) => code));

/** Clients may close with any of 4,000 codes: those that nobody defined share one label. */
function closeCodeLabel(code: number): string {
  return (code >= 1000 && code <= 1015) || ownCodes.has(code) ? String(code) : "other";
}
