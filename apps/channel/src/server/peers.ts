import type { BlockList, Socket } from "node:net";
import { setImmediate as nextTick } from "node:timers/promises";
import { isInNetworks, type Log } from "@fanwire/service";
import type { CloseReason, Counters, RefusalReason } from "../broker/counters.ts";
import { CATCH_UP_MS, isStalled, type SlowPeers, STALL_MS } from "../broker/slow-peers.ts";
import type { Pace } from "../data/pace.ts";
import { PacedWalk } from "../data/paced-walk.ts";
import type { ClassRule } from "../php/classes.ts";
import type { BufferBudget } from "./buffer-budget.ts";
import { Connection } from "./connection.ts";
import type { FlushScheduler } from "./flush-scheduler.ts";
import { Peer } from "./peer.ts";
import type { RequestScheduler } from "./request-scheduler.ts";

type PeersConfig = {
  /** `undefined` allows any. */
  readonly allowedNetworks: BlockList | undefined;
  readonly allowsClass: ClassRule;
  readonly limits: {
    readonly peers: number;
    readonly frameBytes: number;
    /** Maximum time of one frame; 0 for no limit. */
    readonly frameMs: number;
    readonly unsentBytes: number;
  };
};

type PeersParts = {
  readonly config: PeersConfig;
  readonly requestScheduler: RequestScheduler;
  readonly flushScheduler: FlushScheduler;
  readonly budget: BufferBudget;
  readonly slowPeers: SlowPeers;
  readonly counters: Counters;
  readonly log: Log;
  /** Limits how long closing peers takes in a tick. */
  readonly closePace: Pace;
  onClosed(peer: Peer): void;
};

const CHECK_MS = 1_000;

/** All connections of peers, from acceptance until they are closed and their requests are processed. */
export class Peers {
  readonly #parts: PeersParts;
  readonly #connections = new Set<Connection>();
  readonly #check: PacedWalk<Connection>;
  /** Sockets that their peers have ended. A machine that ends may end thousands in one moment. */
  readonly #ended = new Set<Socket>();
  readonly #destroyEnded: PacedWalk<Socket>;
  #isClosingPlanned = false;
  readonly #timer: NodeJS.Timeout;
  #lastId = 0;
  /** `false` while no peer is read from, because waiting requests hold too much memory or the server stops. */
  #isReading = true;
  #isStopped = false;

  constructor(parts: PeersParts) {
    this.#parts = parts;
    this.#check = new PacedWalk(parts.closePace, (connection) => this.#closeOverdue(connection));
    this.#destroyEnded = new PacedWalk(parts.closePace, (socket) => {
      this.#ended.delete(socket);
      socket.destroy();
    });
    this.#timer = setInterval(() => {
      parts.slowPeers.closeStalled();
      this.#check.begin(this.#connections);
    }, CHECK_MS);
    this.#timer.unref();
  }

  get count(): number {
    return this.#connections.size;
  }

  /** Unsent bytes of all peers, and bytes of incomplete frames. */
  get heldBytes(): { unsentBytes: number; unfinishedBytes: number } {
    let unsentBytes = 0;
    let unfinishedBytes = 0;
    for (const connection of this.#connections) {
      unsentBytes += connection.peer.unsentBytes;
      unfinishedBytes += connection.unfinishedBytes;
    }
    return { unsentBytes, unfinishedBytes };
  }

  /** Accepts or refuses a new connection. */
  accept(socket: Socket, isUnix: boolean): void {
    const { config, requestScheduler, counters, log } = this.#parts;
    const refusal = this.#refusal(socket, isUnix);
    if (refusal !== undefined) {
      counters.refused[refusal]++;
      log.warn({ reason: refusal, remoteAddress: socket.remoteAddress }, "peer refused");
      socket.destroy();
      return;
    }
    counters.accepted++;
    const peer = new Peer({
      socket,
      id: ++this.#lastId,
      flushScheduler: this.#parts.flushScheduler,
      budget: this.#parts.budget,
      counters,
      maxUnsentBytes: config.limits.unsentBytes,
      onSlow: (slowPeer, isSlow) => this.#parts.slowPeers.onSlow(slowPeer, isSlow),
      onClosed: (_, reason) => this.#onClosed(connection, reason),
    });
    const connection: Connection = new Connection({
      peer,
      socket,
      budget: this.#parts.budget,
      maxFrameBytes: config.limits.frameBytes,
      allowsClass: config.allowsClass,
      onIdle: () => {
        if (peer.isClosed) this.#connections.delete(connection);
      },
    });
    this.#connections.add(connection);
    socket.on("data", (chunk) => requestScheduler.receive(connection.pending, connection.push(chunk)));
    this.#listenForEnd(connection);
    if (!this.#isReading) connection.setReading("all", false);
    log.debug({ peer: peer.id, remoteAddress: socket.remoteAddress }, "peer connected");
  }

  /** Resumes or pauses reading from all peers. */
  setReading(isReading: boolean): void {
    if (this.#isStopped || isReading === this.#isReading) return;
    this.#isReading = isReading;
    for (const connection of this.#connections) connection.setReading("all", isReading);
  }

  /** Stops reading from all peers permanently. */
  stopReading(): void {
    this.setReading(false);
    this.#isStopped = true;
  }

  /**
   * Closes the peers with most unsent bytes until the buffers of all peers are within their budget. Peers that share
   * their unsent bytes may have to be closed by the thousand, so the work continues in later ticks.
   */
  closeLargest(): void {
    const { budget, closePace } = this.#parts;
    if (this.#isClosingPlanned || !budget.isOver) return;
    const holders = [...this.#connections].filter(({ peer }) => peer.unsentBytes > 0 && !peer.isClosed);
    holders.sort((one, other) => other.peer.unsentBytes - one.peer.unsentBytes);
    for (const { peer } of holders) {
      if (!budget.isOver) return;
      if (closePace.isOver()) {
        this.#planClosing();
        return;
      }
      peer.close("buffered-bytes");
    }
  }

  #planClosing(): void {
    this.#isClosingPlanned = true;
    setImmediate(() => {
      this.#isClosingPlanned = false;
      this.closeLargest();
    });
  }

  /** Writes all unsent bytes and ends every connection. Resolves when all are closed, or when `signal` aborts. */
  async end(signal: AbortSignal): Promise<void> {
    clearInterval(this.#timer);
    const aborted = new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
    const open = [...this.#connections].filter(({ socket }) => !socket.destroyed);
    const closed: Promise<void>[] = [];
    await this.#paced(open, ({ peer, socket }) => {
      if (socket.destroyed) return;
      closed.push(new Promise((resolve) => socket.once("close", () => resolve())));
      peer.end();
      // A socket that is not read never emits the end of the other side.
      socket.removeAllListeners("data");
      socket.resume();
    });
    await Promise.race([Promise.all(closed), aborted]);
    await this.#paced(open, ({ peer }) => peer.close("draining"));
  }

  async #paced(connections: readonly Connection[], visit: (connection: Connection) => void): Promise<void> {
    for (const connection of connections) {
      visit(connection);
      if (this.#parts.closePace.isOverAfter(0)) await nextTick();
    }
  }

  #refusal(socket: Socket, isUnix: boolean): RefusalReason | undefined {
    const { allowedNetworks, limits } = this.#parts.config;
    // The permissions of its file protect a Unix socket.
    if (allowedNetworks !== undefined && !isUnix) {
      // A connection that was already reset has no address.
      const { remoteAddress } = socket;
      if (remoteAddress === undefined || !isInNetworks(allowedNetworks, remoteAddress)) return "network";
    }
    return this.#connections.size >= limits.peers ? "peer-limit" : undefined;
  }

  #listenForEnd(connection: Connection): void {
    const { requestScheduler } = this.#parts;
    const { peer, socket, pending } = connection;
    // A PHP client that has closed its writing side does not read either.
    socket.on("end", () => {
      peer.markClosed("ended");
      this.#ended.add(socket);
      this.#destroyEnded.begin(this.#ended);
    });
    let hasFailed = false;
    socket.on("error", () => {
      hasFailed = true;
    });
    socket.on("close", () => {
      peer.markClosed(hasFailed ? "failed" : "ended");
      if (requestScheduler.isIdle(pending)) this.#connections.delete(connection);
    });
  }

  #onClosed(connection: Connection, reason: CloseReason): void {
    const { counters, log, requestScheduler } = this.#parts;
    const { peer, socket } = connection;
    counters.closed[reason]++;
    const fields = { peer: peer.id, remoteAddress: socket.remoteAddress, reason };
    if (reason === "ended" || reason === "failed" || reason === "draining") log.debug(fields, "peer disconnected");
    else log.warn(fields, "peer closed");
    connection.forgetFrame();
    requestScheduler.onClosed(connection.pending);
    this.#parts.onClosed(peer);
  }

  /** Closes a peer whose frame takes too long, or that does not read while others wait for memory. */
  #closeOverdue(connection: Connection): void {
    const { config, budget } = this.#parts;
    const { peer } = connection;
    const now = performance.now();
    const isFrameAwaited = budget.waitingFrames > 0;
    const frameMs = config.limits.frameMs > 0 ? config.limits.frameMs : Number.POSITIVE_INFINITY;
    const maxFrameMs = isFrameAwaited ? Math.min(frameMs, CATCH_UP_MS) : frameMs;
    if (connection.isFrameOlderThan(now - maxFrameMs)) peer.close("frame-time");
    // In both cases other peers wait for what this peer holds.
    else if (isFrameAwaited && connection.hasIdleRoom(now - STALL_MS)) peer.close("frame-time");
    else if (budget.isOutboundDenied && isStalled(peer, now)) peer.close("not-reading");
  }
}
