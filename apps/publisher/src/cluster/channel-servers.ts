import type { Bus } from "@fanwire/bus";
import type { Subjects } from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import { describeAllServices } from "./describe-all.ts";

const ASK_EVERY_MS = 60_000;
/** A channel server is forgotten after this time without an answer, because it does not announce its end. */
const FORGET_AFTER_MS = 300_000;

type ChannelServersParts = {
  readonly bus: Bus;
  readonly subjects: Subjects;
  readonly registry: { readonly hasListenedForLong: boolean };
  readonly log: Log;
};

/** Remembers the channel servers, because only they know of the Workerman workers behind them. */
export class ChannelServers {
  readonly #parts: ChannelServersParts;
  /** Time of the last answer of each. */
  readonly #answeredAt = new Map<string, number>();
  readonly #timer: NodeJS.Timeout;

  constructor(parts: ChannelServersParts) {
    this.#parts = parts;
    parts.bus.onConnection((isConnected) => {
      if (isConnected) void this.#ask();
    });
    this.#timer = setInterval(() => void this.#ask(), ASK_EVERY_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Whether a channel server may run that does not answer, for example because it reconnects to NATS. */
  async mayOneBeAway(): Promise<boolean> {
    const answered = await this.#ask();
    if (answered === undefined) return true;
    if (this.#answeredAt.size === 0) return !this.#parts.registry.hasListenedForLong;
    return [...this.#answeredAt.keys()].some((id) => !answered.has(id));
  }

  /** Returns those that answer, or undefined if they could not be asked. */
  async #ask(): Promise<ReadonlySet<string> | undefined> {
    const described = await describeAllServices(this.#parts).catch(() => undefined);
    if (!described?.ok) return undefined;
    const answered = new Set(described.all.filter(({ kind }) => kind === "channel").map(({ id }) => id));
    const now = performance.now();
    for (const id of answered) this.#answeredAt.set(id, now);
    for (const [id, at] of this.#answeredAt) if (now - at > FORGET_AFTER_MS) this.#answeredAt.delete(id);
    return answered;
  }
}
