import type { HttpRequest, HttpResponse, us_socket_context_t, WebSocketBehavior } from "uWebSockets.js";
import type { CloseCode } from "@fanwire/protocol";
import type { PusherApp } from "@fanwire/pusher-protocol";
import type { ClientProtocol } from "../../connections/client-protocol.ts";
import { type ConnectionState, newConnectionState } from "../../connections/connection.ts";
import { pusherCodes } from "../../wire/pusher-close-codes.ts";
import { connectionEstablished, pusherError } from "../../wire/pusher-frames.ts";
import { HeldCommands } from "../held-commands.ts";
import { InboundLimit } from "../inbound-limit.ts";
import { answerRefusal, turnedAway } from "../refusals.ts";
import type { RequestPace } from "../request-pace.ts";
import type { ServingParts } from "../served-protocol.ts";
import { noteClosed, noteDropped } from "../socket-limits.ts";
import { upgradeRefusal } from "../upgrade-request.ts";
import type { UwsApp } from "../uws-app.ts";
import { admitPusher, type PusherAdmission, type PusherHandshake } from "./admission.ts";
import { type Audience, openAudience } from "./audience.ts";
import { ClientEvents } from "./client-events.ts";
import { receiveFrame } from "./commands.ts";
import { Liveness } from "./liveness.ts";
import { PusherSession, type PusherSocket } from "./session.ts";
import { PUSHER_GRANT, Signins } from "./signin.ts";
import { PusherSubscriptions } from "./subscriptions.ts";
import { WaitingClients } from "./waiting-clients.ts";

/** Clients may have a prefix (`wsPath`), for a proxy that does not remove it. */
const PATHS = [
  { pattern: "/app/:key", keyParameter: 0 },
  { pattern: "/:prefix/app/:key", keyParameter: 1 },
] as const;
/** Id of connections that are upgraded only to be closed with a code. */
const NOT_ADMITTED = 0;
/** Seconds after which uWebSockets.js closes a connection that {@link Liveness} should have closed. */
const IDLE_SLACK_SECONDS = 60;
/** uWebSockets.js waits for 960 s at most. {@link Liveness} must close a silent client before that. */
const MAX_IDLE_SECONDS = 960 - IDLE_SLACK_SECONDS;

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
  { app, pace, noCompression }: UwsApp,
  protocolOf: ProtocolOf,
  parts: ServingParts,
): { stop(): void } {
  if (parts.config.pusherApps.all.length === 0) return { stop: () => {} };
  const route = new PusherRoute(protocolOf, parts, pace);
  for (const { pattern, keyParameter } of PATHS) {
    app.ws(pattern, {
      ...behaviorOf(route, parts),
      compression: noCompression,
      upgrade: (response, request, context) =>
        route.onUpgrade({ response, request, context, key: request.getParameter(keyParameter) }),
    });
    app.any(pattern, (response, request) => {
      const isHead = request.getMethod() === "head";
      pace.answer(response, 0, () => answerRefusal(response, turnedAway("upgrade"), { isHead }));
    });
  }
  return { stop: () => route.stop() };
}

/** Returns everything but the upgrade. */
function behaviorOf(route: PusherRoute, { hub, config }: ServingParts): WebSocketBehavior<ConnectionState> {
  const { limits } = config;
  return {
    maxPayloadLength: limits.inboundBytes,
    maxBackpressure: limits.unsentBytes,
    closeOnBackpressureLimit: 1,
    idleTimeout: idleSecondsOf(config) + IDLE_SLACK_SECONDS,
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

function idleSecondsOf({ idleSeconds }: ServingParts["config"]): number {
  return Math.min(MAX_IDLE_SECONDS, idleSeconds);
}

class PusherRoute {
  readonly #parts: ServingParts;
  readonly #pace: RequestPace;
  readonly #protocolOf: ProtocolOf;
  readonly #sessions = new Map<PusherSocket, PusherSession>();
  readonly #open = new Set<PusherSession>();
  readonly #inbound: InboundLimit;
  readonly #liveness: Liveness;
  readonly #audience: Audience;
  readonly #subscriptions: PusherSubscriptions;
  readonly #clientEvents: ClientEvents;
  readonly #signins: Signins;
  readonly #waiting: WaitingClients;
  /**
   * The handshake of the connection that is being upgraded. uWebSockets.js calls the open handler inside the upgrade.
   */
  #upgrading: PusherAdmission | undefined;

  constructor(protocolOf: ProtocolOf, parts: ServingParts, pace: RequestPace) {
    this.#parts = parts;
    this.#pace = pace;
    this.#protocolOf = protocolOf;
    const { hub, counters, config, clock } = parts;
    const { inboundPerSecond, topics } = config.limits;
    // Clients subscribe to all their channels in the second in which they connect, with a frame for each.
    this.#inbound = new InboundLimit({ hub, counters, clock, maxPerSecond: inboundPerSecond + topics });
    this.#liveness = new Liveness({
      clock,
      sessions: this.#open,
      idleSeconds: idleSecondsOf(config),
      end: (session, closeCode) => this.#end(session, closeCode),
    });
    this.#waiting = new WaitingClients(parts.slices, config.limits.inboundBytes);
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
    const refusal = upgradeRefusal(request);
    if (refusal !== undefined) {
      this.#parts.counters.refused[refusal.reason]++;
      this.#pace.answer(response, 0, () => answerRefusal(response, refusal));
      return;
    }
    const webSocketKey = request.getHeader("sec-websocket-key");
    const extensions = request.getHeader("sec-websocket-extensions");
    const forwardedAddress = this.#parts.addresses.forwarded(request, response);
    // Contrary to its type, getQuery() returns undefined without a query.
    const handshake = { key, origin: request.getHeader("origin"), query: request.getQuery() ?? "" };
    const { origin, query } = handshake;
    const textBytes = webSocketKey.length + extensions.length + origin.length + query.length;
    this.#pace.upgrade(response, request.getHeader("connection"), textBytes, () => {
      response.upgrade(this.#begin(handshake, forwardedAddress), webSocketKey, "", extensions, context);
      this.#upgrading = undefined;
    });
  }

  /** Decides a handshake. Returns the state of the connection, which must be upgraded at once. */
  #begin(handshake: PusherHandshake, forwardedAddress: string | undefined): ConnectionState {
    const admission = admitPusher(handshake, this.#parts);
    // A refused connection receives nothing, whatever its protocol.
    const protocol = this.#protocolOf(admission.ok ? admission.app : { namespace: "" });
    this.#upgrading = admission;
    return newConnectionState({ connectionId: NOT_ADMITTED, protocol, grant: PUSHER_GRANT, forwardedAddress });
  }

  onOpen(socket: PusherSocket): void {
    const admission = this.#upgrading;
    if (admission === undefined) return;
    this.#waiting.add(socket, (frames) => {
      this.#applyDecision(socket, frames !== undefined && admission.ok ? this.#admitLate(admission) : admission);
      const session = this.#sessions.get(socket);
      if (session === undefined || frames === undefined) return;
      session.held = frames;
      this.#release(session);
    });
  }

  /** Applies limits that other clients may have reached while this one waited. */
  #admitLate(admitted: PusherAdmission): PusherAdmission {
    const { hub, config, counters } = this.#parts;
    if (hub.isDraining) {
      counters.refused.draining++;
      return { ok: false, closeCode: pusherCodes.draining };
    }
    if (hub.openConnections < config.limits.connections) return admitted;
    counters.refused["connection-limit"]++;
    return { ok: false, closeCode: pusherCodes.full };
  }

  #applyDecision(socket: PusherSocket, admission: PusherAdmission): void {
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
    const early = this.#waiting.framesOf(socket);
    const session = this.#noteActivity(socket);
    if ((early === undefined && session === undefined) || !this.#inbound.count(socket)) return;
    if (isBinary) {
      socket.send(pusherError(null, "frames must be text"), false);
      return;
    }
    const text = Buffer.from(message).toString();
    if (session !== undefined) this.#receive(session, text, message.byteLength);
    else if (early?.add([text], message.byteLength) === false) this.#inbound.close(socket, early.closeCode);
  }

  /** Thousands of clients may subscribe in frames that are read in one tick. Then most of these wait. */
  #receive(session: PusherSession, text: string, bytes: number): void {
    const { slices, config } = this.#parts;
    if (session.held?.add([text], bytes)) return;
    // Too many bytes wait, so everything is executed now.
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
    if (this.#noteActivity(socket) !== undefined) this.#inbound.count(socket);
  }

  onPong(socket: PusherSocket): void {
    this.#noteActivity(socket);
  }

  /** Notes that the client is there. Returns its session. */
  #noteActivity(socket: PusherSocket): PusherSession | undefined {
    const session = this.#sessions.get(socket);
    if (session === undefined) return undefined;
    session.lastSeen = this.#liveness.currentSecond();
    if (session.pingedAt !== Number.POSITIVE_INFINITY) session.pingedAt = 0;
    return session;
  }

  onDropped(socket: PusherSocket): void {
    noteDropped(socket, this.#parts.counters);
  }

  onClose(socket: PusherSocket, code: number, message: ArrayBuffer): void {
    const session = this.#sessions.get(socket);
    if (session === undefined) {
      this.#waiting.forget(socket);
      this.#audience.quotas.forget(socket);
      return;
    }
    session.isClosed = true;
    this.#sessions.delete(socket);
    this.#open.delete(session);
    this.#liveness.forget(session);
    this.#audience.closed(session);
    noteClosed(code, message, this.#parts.counters);
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
