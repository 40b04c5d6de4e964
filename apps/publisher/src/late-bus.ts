import type { Bus, BusHealth, BusTraffic, GatherOutcome, PublishOutcome, RequestOutcome } from "@fanwire/bus";

/** What the publisher needs of the bus: it asks and tells, and listens to nothing. */
export type PublisherBus = Omit<Bus, "subscribe" | "send" | "confirm" | "onConnection">;

const UNAVAILABLE = { ok: false, reason: "unavailable" } as const;
const NO_TRAFFIC: BusTraffic = {
  isConnected: false,
  disconnects: 0,
  receivedMessages: 0,
  receivedBytes: 0,
  sentMessages: 0,
  sentBytes: 0,
};

/**
 * The bus from before the first connection on: until {@link arrive} everything is `unavailable`, so that the API can
 * answer truthfully while NATS has not been reached yet.
 */
export class LateBus implements PublisherBus {
  #bus: Bus | undefined;

  arrive(bus: Bus): void {
    this.#bus = bus;
  }

  health(): BusHealth {
    return this.#bus?.health() ?? { alive: false, reason: "NATS has not been reached yet" };
  }

  maxPayloadBytes(): number {
    return this.#bus?.maxPayloadBytes() ?? 0;
  }

  async publish(...args: Parameters<Bus["publish"]>): Promise<PublishOutcome> {
    return this.#bus?.publish(...args) ?? UNAVAILABLE;
  }

  async request(...args: Parameters<Bus["request"]>): Promise<RequestOutcome> {
    return this.#bus?.request(...args) ?? UNAVAILABLE;
  }

  async requestMany(...args: Parameters<Bus["requestMany"]>): Promise<GatherOutcome> {
    return this.#bus?.requestMany(...args) ?? UNAVAILABLE;
  }

  traffic(): BusTraffic {
    return this.#bus?.traffic() ?? NO_TRAFFIC;
  }

  async stop(): Promise<void> {
    await this.#bus?.stop();
  }
}
