import type { Socket } from "node:net";
import type { Log } from "@fanwire/service";
import type { ChannelConfig } from "./config.ts";
import { Conversation, type Conversations } from "./conversations.ts";
import { FrameDecoder } from "./frames.ts";
import { isInNetworks } from "./networks.ts";
import type { Outlet } from "./outlet.ts";
import { Peer } from "./peer.ts";
import type { CloseReason, RefusalReason, Traffic } from "./traffic.ts";

type PeersParts = {
  readonly config: ChannelConfig;
  readonly conversations: Conversations;
  readonly outlet: Outlet;
  readonly traffic: Traffic;
  readonly log: Log;
  onGone(peer: Peer): void;
};

type Connection = {
  readonly peer: Peer;
  readonly decoder: FrameDecoder;
  readonly socket: Socket;
  /** Since when an unfinished frame has been coming, by `performance.now()`; `undefined`: none is. */
  frameSince: number | undefined;
  isReading: boolean;
};

const FRAME_CHECK_MS = 1_000;

/** All connections of peers, from their acceptance until what they said is carried out and they are gone. */
export class Peers {
  readonly #parts: PeersParts;
  readonly #connections = new Set<Connection>();
  readonly #frameTimer: NodeJS.Timeout;
  #lastId = 0;
  #isStopped = false;

  constructor(parts: PeersParts) {
    this.#parts = parts;
    this.#frameTimer = setInterval(() => this.#closeSlowSenders(), FRAME_CHECK_MS);
    this.#frameTimer.unref();
  }

  get count(): number {
    return this.#connections.size;
  }

  /** Bytes that wait for peers that read slowly, and of frames that have not come whole. */
  get heldBytes(): { unsentBytes: number; unfinishedBytes: number } {
    let unsentBytes = 0;
    let unfinishedBytes = 0;
    for (const { peer, decoder } of this.#connections) {
      unsentBytes += peer.unsentBytes;
      unfinishedBytes += decoder.heldBytes;
    }
    return { unsentBytes, unfinishedBytes };
  }

  /** For the door: somebody has connected. */
  accept(socket: Socket): void {
    const { config, traffic, log } = this.#parts;
    const refusal = this.#refusal(socket);
    if (refusal !== undefined) {
      traffic.refused[refusal]++;
      log.warn({ reason: refusal, remoteAddress: socket.remoteAddress }, "a peer was refused");
      socket.destroy();
      return;
    }
    traffic.accepted++;
    const peer = new Peer({
      socket,
      id: ++this.#lastId,
      outlet: this.#parts.outlet,
      traffic,
      maxUnsentBytes: config.limits.unsentBytes,
      onGone: (_, reason) => this.#onGone(connection, reason),
    });
    const decoder = new FrameDecoder(config.limits.frameBytes);
    const connection: Connection = { peer, decoder, socket, frameSince: undefined, isReading: true };
    this.#connections.add(connection);
    this.#listen(connection);
    log.debug({ peer: peer.id, remoteAddress: socket.remoteAddress }, "a peer has connected");
  }

  /** Takes no more from anybody. */
  stopReading(): void {
    this.#isStopped = true;
    for (const { socket } of this.#connections) socket.pause();
  }

  /** Delivers what there is and ends every connection; resolves when all are closed, or when `signal` aborts. */
  async end(signal: AbortSignal): Promise<void> {
    clearInterval(this.#frameTimer);
    const open = [...this.#connections].filter(({ socket }) => !socket.destroyed);
    const closed = open.map(({ socket }) => new Promise<void>((resolve) => socket.once("close", () => resolve())));
    const aborted = new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
    for (const { peer, socket } of open) {
      peer.end();
      // A stream that is not read never notices that the other side has closed too.
      socket.removeAllListeners("data");
      socket.resume();
    }
    await Promise.race([Promise.all(closed), aborted]);
    for (const { peer } of open) peer.close("draining");
  }

  #refusal(socket: Socket): RefusalReason | undefined {
    const { allowedNetworks, limits } = this.#parts.config;
    // A Unix socket has no address: who may use it is a matter of its file's permissions.
    const { remoteAddress } = socket;
    const isForeign = allowedNetworks !== undefined && remoteAddress !== undefined;
    if (isForeign && !isInNetworks(allowedNetworks, remoteAddress)) return "network";
    return this.#connections.size >= limits.peers ? "peer-limit" : undefined;
  }

  #listen(connection: Connection): void {
    const { conversations } = this.#parts;
    const { peer, socket, decoder } = connection;
    const conversation = new Conversation(peer, {
      setReading: (isReading) => {
        if (isReading === connection.isReading) return;
        connection.isReading = isReading;
        // The time for which we do not read is not the sender's.
        if (isReading) connection.frameSince = decoder.heldBytes > 0 ? performance.now() : undefined;
        if (!isReading) socket.pause();
        else if (!this.#isStopped) socket.resume();
      },
      onIdle: () => {
        if (peer.isGone) this.#connections.delete(connection);
      },
    });
    socket.on("data", (chunk) => {
      const decoded = decoder.push(chunk);
      if (decoder.heldBytes === 0) connection.frameSince = undefined;
      else if (decoded.messages.length > 0 || connection.frameSince === undefined)
        connection.frameSince = performance.now();
      conversations.receive(conversation, decoded);
    });
    // Its last bytes have come: it writes no more, and PHP clients that do so read no more either.
    socket.on("end", () => peer.gone("ended"));
    let hasFailed = false;
    socket.on("error", () => {
      hasFailed = true;
    });
    socket.on("close", () => {
      peer.gone(hasFailed ? "failed" : "ended");
      if (conversations.isIdle(conversation)) this.#connections.delete(connection);
    });
  }

  #onGone({ peer, socket }: Connection, reason: CloseReason): void {
    const { traffic, log } = this.#parts;
    traffic.closed[reason]++;
    const fields = { peer: peer.id, remoteAddress: socket.remoteAddress, reason };
    if (reason === "ended" || reason === "failed" || reason === "draining") log.debug(fields, "a peer has gone");
    else log.warn(fields, "a peer was closed");
    this.#parts.onGone(peer);
  }

  #closeSlowSenders(): void {
    const { frameMs } = this.#parts.config.limits;
    if (frameMs === 0) return;
    const before = performance.now() - frameMs;
    for (const { peer, frameSince, isReading } of this.#connections) {
      if (isReading && frameSince !== undefined && frameSince < before) peer.close("frame-time");
    }
  }
}
