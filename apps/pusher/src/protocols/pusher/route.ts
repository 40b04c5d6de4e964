import type { HttpRequest, HttpResponse, us_socket_context_t, WebSocketBehavior } from "uWebSockets.js";
import type { CloseCode } from "@fanwire/protocol";
import type { PusherApp } from "@fanwire/pusher-protocol";
import type { ClientProtocol } from "../../connections/client-protocol.ts";
import { type ConnectionState, newConnectionState } from "../../connections/connection.ts";
import { upgradeProblem } from "../../wire/opening-request.ts";
import { connectionEstablished, pusherError } from "../../wire/pusher-frames.ts";
import { HeldCommands } from "../held-commands.ts";
import { InboundLimit } from "../inbound-limit.ts";
import { answerRefusal, turnedAway } from "../refusals.ts";
import type { ServingParts } from "../served-protocol.ts";
import type { UwsApp } from "../uws-app.ts";
import { admitPusher, type PusherAdmission } from "./admission.ts";
import { type Audience, openAudience } from "./audience.ts";
import { ClientEvents } from "./client-events.ts";
import { receiveFrame } from "./commands.ts";
import { Liveness } from "./liveness.ts";
import { PusherSession, type PusherSocket } from "./session.ts";
import { PUSHER_GRANT, Signins } from "./signin.ts";
import { PusherSubscriptions } from "./subscriptions.ts";

/** Clients may have a prefix (`wsPath`), for a proxy that does not remove it. */
const PATHS = [
  { pattern: "/app/:key", keyParameter: 0 },
  { pattern: "/:prefix/app/:key", keyParameter: 1 },
] as const;
/** Id of connections that are upgraded only to be closed with a code. */
const NOT_ADMITTED = 0;
/** Maximum of uWebSockets.js. */
const MAX_IDLE_SECONDS = 960;
/** Time after which uWebSockets.js closes a connection that {@link Liveness} should have closed. */
const IDLE_SLACK_SECONDS = 60;

type Upgrade = {
  readonly response: HttpResponse;
  readonly request: HttpRequest;
  readonly context: us_socket_context_t;
  /** Key of the app. */
  readonly key: string;
};
type ProtocolOf = (app: Pick<PusherApp, "namespace">) => ClientProtocol;

/** Opens the route of the Pusher protocol if there are apps. Without it, the shared route refuses Pusher clients. */
export function openPusherRoute(
  { app, noCompression }: UwsApp,
  protocolOf: ProtocolOf,
  parts: ServingParts,
): { stop(): void } {
  if (parts.config.pusherApps.all.length === 0) return { stop: () => {} };
  const route = new PusherRoute(protocolOf, parts);
  for (const { pattern, keyParameter } of PATHS) {
    app.ws(pattern, {
      ...behaviorOf(route, parts),
      compression: noCompression,
      upgrade: (response, request, context) =>
        route.onUpgrade({ response, request, context, key: request.getParameter(keyParameter) }),
    });
    app.any(pattern, (response) => answerRefusal(response, turnedAway("upgrade")));
  }
  return { stop: () => route.stop() };
}

/** Returns everything but the upgrade. */
function behaviorOf(route: PusherRoute, { hub, config }: ServingParts): WebSocketBehavior<ConnectionState> {
  const { limits, idleSeconds } = config;
  return {
    maxPayloadLength: limits.inboundBytes,
    maxBackpressure: limits.unsentBytes,
    closeOnBackpressureLimit: 1,
    idleTimeout: Math.min(MAX_IDLE_SECONDS, idleSeconds + IDLE_SLACK_SECONDS),
    // Liveness pings, so that a silent client is closed with the code of the protocol.
    sendPingsAutomatically: false,
    open: (socket) => route.onOpen(socket),
    message: (socket, message, isBinary) => route.onMessage(socket, message, isBinary),
    drain: (socket) => hub.drained(socket),
    ping: (socket) => route.onPing(socket),
    pong: (socket) => route.onPong(socket),
    dropped: (socket) => route.onDropped(socket),
    close: (socket, code, message) => route.onClose(socket, code, message),
  };
}

class PusherRoute {
  readonly #parts: ServingParts;
  readonly #protocolOf: ProtocolOf;
  readonly #sessions = new Map<PusherSocket, PusherSession>();
  readonly #open = new Set<PusherSession>();
  readonly #inbound: InboundLimit;
  readonly #liveness: Liveness;
  readonly #audience: Audience;
  readonly #subscriptions: PusherSubscriptions;
  readonly #clientEvents: ClientEvents;
  readonly #signins: Signins;
  /** The handshake of the connection that is being upgraded. uWebSockets.js calls the open handler inside the upgrade. */
  #upgrading: PusherAdmission | undefined;

  constructor(protocolOf: ProtocolOf, parts: ServingParts) {
    this.#parts = parts;
    this.#protocolOf = protocolOf;
    const { hub, counters, config, clock } = parts;
    const { inboundPerSecond, topics } = config.limits;
    // Clients subscribe to all their channels in the second in which they connect, with a frame for each.
    this.#inbound = new InboundLimit({ hub, counters, clock, maxPerSecond: inboundPerSecond + topics });
    this.#liveness = new Liveness({
      clock,
      sessions: this.#open,
      idleSeconds: config.idleSeconds,
      end: (session, closeCode) => this.#end(session, closeCode),
    });
    this.#audience = openAudience(parts);
    this.#subscriptions = new PusherSubscriptions(parts, this.#audience);
    this.#clientEvents = new ClientEvents(parts);
    this.#signins = new Signins(parts, this.#audience);
  }

  stop(): void {
    this.#liveness.stop();
    this.#audience.stop();
  }

  onUpgrade({ response, request, context, key }: Upgrade): void {
    const webSocketKey = request.getHeader("sec-websocket-key");
    const problem = upgradeProblem({
      key: webSocketKey,
      upgrade: request.getHeader("upgrade"),
      version: request.getHeader("sec-websocket-version"),
    });
    if (problem !== undefined) {
      const reason = problem === "key" ? "handshake" : "upgrade";
      this.#parts.counters.refused[reason]++;
      answerRefusal(response, turnedAway(reason));
      return;
    }
    const extensions = request.getHeader("sec-websocket-extensions");
    const admission = admitPusher(request, key, this.#parts);
    // A refused connection receives nothing, whatever its protocol.
    const protocol = this.#protocolOf(admission.ok ? admission.app : { namespace: "" });
    this.#upgrading = admission;
    const forwardedAddress = this.#parts.addresses.forwarded(request, response);
    const state = newConnectionState({ connectionId: NOT_ADMITTED, protocol, grant: PUSHER_GRANT, forwardedAddress });
    response.upgrade(state, webSocketKey, "", extensions, context);
    this.#upgrading = undefined;
  }

  onOpen(socket: PusherSocket): void {
    const admission = this.#upgrading;
    if (admission === undefined) return;
    const { quotas } = this.#audience;
    if (!admission.ok) refuse(socket, admission.closeCode);
    else if (!quotas.isFull(admission.app)) this.#start(socket, admission.app);
    else {
      this.#parts.counters.refused.quota++;
      quotas.refuse(socket, admission.app, refuse);
    }
  }

  #start(socket: PusherSocket, app: PusherApp): void {
    const { hub, recovery, workerId } = this.#parts;
    socket.getUserData().connectionId = hub.nextConnectionId();
    const session = new PusherSession(socket, app, { workerId, second: this.#liveness.currentSecond() });
    this.#sessions.set(socket, session);
    this.#open.add(session);
    this.#audience.quotas.opened(app);
    this.#liveness.expectAuthorization(session);
    session.send(connectionEstablished(session.socketId, this.#liveness.activityTimeout));
    const subscriptions = hub.open(socket);
    recovery.start({ connection: socket, subscriptions, since: undefined, kind: "connection", onOutcome: () => {} });
  }

  onMessage(socket: PusherSocket, message: ArrayBuffer, isBinary: boolean): void {
    const session = this.#noteSign(socket);
    if (session === undefined || !this.#inbound.count(socket)) return;
    if (isBinary) {
      session.send(pusherError(null, "frames must be text"));
      return;
    }
    this.#receive(session, Buffer.from(message).toString(), message.byteLength);
  }

  /** Thousands of clients may subscribe in frames that are read in one tick. Then most of these wait. */
  #receive(session: PusherSession, text: string, bytes: number): void {
    const { slices, config } = this.#parts;
    if (session.held?.add([text], bytes)) return;
    // More does not wait.
    this.#release(session);
    if (slices.mayWorkNow()) {
      this.#execute(session, text);
      return;
    }
    session.held = new HeldCommands([text], config.limits.inboundBytes);
    void slices.turn().then(() => this.#release(session));
  }

  #release(session: PusherSession): void {
    const { held } = session;
    session.held = undefined;
    for (let text = held?.take(); text !== undefined; text = held?.take()) this.#execute(session, text);
  }

  #execute(session: PusherSession, text: string): void {
    if (session.isClosed) return;
    receiveFrame(session, text, {
      subscriptions: this.#subscriptions,
      clientEvents: this.#clientEvents,
      signins: this.#signins,
    });
  }

  onPing(socket: PusherSocket): void {
    if (this.#noteSign(socket) !== undefined) this.#inbound.count(socket);
  }

  onPong(socket: PusherSocket): void {
    this.#noteSign(socket);
  }

  /** Notes that the client is there. Returns its session. */
  #noteSign(socket: PusherSocket): PusherSession | undefined {
    const session = this.#sessions.get(socket);
    if (session === undefined) return undefined;
    session.lastSeen = this.#liveness.currentSecond();
    if (session.pingedAt !== Number.POSITIVE_INFINITY) session.pingedAt = 0;
    return session;
  }

  onDropped(socket: PusherSocket): void {
    const { counters } = this.#parts;
    counters.drops++;
    const state = socket.getUserData();
    if (!state.isOverUnsentLimit) counters.ended["unsent-bytes"]++;
    state.isOverUnsentLimit = true;
  }

  onClose(socket: PusherSocket, code: number, message: ArrayBuffer): void {
    const session = this.#sessions.get(socket);
    if (session === undefined) {
      this.#audience.quotas.forget(socket);
      return;
    }
    session.isClosed = true;
    this.#sessions.delete(socket);
    this.#open.delete(session);
    this.#liveness.forget(session);
    this.#audience.closed(session);
    if (code === 1006 && Buffer.from(message).toString("latin1").startsWith("Received too big message")) {
      this.#parts.counters.ended["inbound-bytes"]++;
    }
    this.#parts.hub.close(socket, code, message);
  }

  #end({ socket }: PusherSession, closeCode: CloseCode): void {
    this.#parts.hub.end(socket, closeCode);
  }
}

function refuse(socket: PusherSocket, { code, reason }: CloseCode): void {
  socket.send(pusherError(code, reason), false);
  socket.end(code, reason);
}
