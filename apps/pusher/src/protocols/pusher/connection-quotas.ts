import type { CloseCode } from "@fanwire/protocol";
import type { PusherApp } from "@fanwire/pusher-protocol";
import { pusherCodes } from "../../wire/pusher-close-codes.ts";
import type { ClusterCounts } from "./cluster-counts.ts";

const PREFIX = "app:";
const CHECK_EVERY_MS = 250;
/** Maximum connections that wait to be refused. Further ones may reconnect at once. */
const MAX_WAITING = 1_000;

type Limited = Pick<PusherApp, "id" | "maxConnections">;
type Waiting<Socket> = { readonly app: Limited; readonly since: number; close(socket: Socket, code: CloseCode): void };

/**
 * Enforces the maximum connections of apps in the whole cluster. A client that is refused with 4004 never reconnects.
 * So it waits until all workers that have connections have shown that they still run: those of a killed worker connect
 * again while they are still counted.
 */
export class ConnectionQuotas<Socket> {
  /** Undefined if no app has a quota. */
  readonly #counts: ClusterCounts | undefined;
  readonly #own = new Map<string, number>();
  readonly #waiting = new Map<Socket, Waiting<Socket>>();
  readonly #timer: NodeJS.Timeout | undefined;

  constructor(apps: readonly Limited[], counts: ClusterCounts | undefined) {
    const limited = apps.filter(hasQuota);
    if (limited.length === 0) return;
    this.#counts = counts;
    for (const app of limited) counts?.watch(keyOf(app));
    this.#timer = setInterval(() => this.#check(), CHECK_EVERY_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  isFull(app: Limited): boolean {
    return this.#counts !== undefined && this.#counts.total(keyOf(app)) >= (app.maxConnections ?? Infinity);
  }

  /** Must be called when a connection was admitted. */
  opened(app: Limited): void {
    this.#count(app, 1);
  }

  /** Must be called when such a connection has closed. */
  closed(app: Limited): void {
    this.#count(app, -1);
  }

  /**
   * Refuses a connection, once all workers with connections have shown that they run. Must not be called after
   * {@link forget}.
   */
  refuse(socket: Socket, app: Limited, close: (socket: Socket, code: CloseCode) => void): void {
    const waiting = { app, since: performance.now(), close };
    if (this.#decide(socket, waiting)) return;
    if (this.#waiting.size < MAX_WAITING) this.#waiting.set(socket, waiting);
    else close(socket, pusherCodes.full);
  }

  /** Must be called when a connection has closed that was not admitted. */
  forget(socket: Socket): void {
    this.#waiting.delete(socket);
  }

  #check(): void {
    for (const [socket, waiting] of this.#waiting) this.#decide(socket, waiting);
  }

  /** Returns whether the connection was refused. It may reconnect at once if there is room again. */
  #decide(socket: Socket, { app, since, close }: Waiting<Socket>): boolean {
    const isFull = this.isFull(app);
    if (isFull && !this.#counts?.isKnownSince(keyOf(app), since)) return false;
    this.#waiting.delete(socket);
    close(socket, isFull ? pusherCodes.overQuota : pusherCodes.full);
    return true;
  }

  #count(app: Limited, by: 1 | -1): void {
    if (this.#counts === undefined || !hasQuota(app)) return;
    const count = (this.#own.get(app.id) ?? 0) + by;
    this.#own.set(app.id, count);
    this.#counts.set(keyOf(app), count, { isUrgent: true });
  }
}

function hasQuota({ maxConnections }: Limited): boolean {
  return maxConnections !== undefined;
}

function keyOf({ id }: Limited): string {
  return PREFIX + id;
}
