import type { Bus, BusHealth, BusMessage, BusSubscription, BusTraffic, HeaderEntries, SendOutcome } from "@fanwire/bus";

/** What the channel server needs of the bus. */
export type ChannelBus = Pick<Bus, "health" | "send" | "confirm" | "subscribe" | "traffic">;

type EarlySubscription = {
  readonly args: Parameters<Bus["subscribe"]>;
  made: BusSubscription | undefined;
};

const NO_TRAFFIC: BusTraffic = {
  isConnected: false,
  disconnects: 0,
  receivedMessages: 0,
  receivedBytes: 0,
  sentMessages: 0,
  sentBytes: 0,
};

/**
 * The bus from before the first connection on: until {@link arrive} nothing can be sent, and subscriptions wait. So
 * the server's own peers are served whether or not NATS was ever there.
 */
export class LateBus implements ChannelBus {
  #bus: Bus | undefined;
  readonly #early = new Set<EarlySubscription>();

  arrive(bus: Bus): void {
    this.#bus = bus;
    for (const early of this.#early) early.made = bus.subscribe(...early.args);
    this.#early.clear();
  }

  health(): BusHealth {
    return this.#bus?.health() ?? { alive: false, reason: "NATS has not been reached yet" };
  }

  send(subject: string, content: Uint8Array, headers?: HeaderEntries): SendOutcome {
    return this.#bus?.send(subject, content, headers) ?? "unavailable";
  }

  async confirm(): Promise<boolean> {
    return (await this.#bus?.confirm()) ?? false;
  }

  subscribe(subject: string, onMessage: (message: BusMessage) => void, group?: string): BusSubscription {
    if (this.#bus !== undefined) return this.#bus.subscribe(subject, onMessage, group);
    const early: EarlySubscription = { args: [subject, onMessage, group], made: undefined };
    this.#early.add(early);
    return {
      unsubscribe: () => {
        this.#early.delete(early);
        early.made?.unsubscribe();
      },
    };
  }

  traffic(): BusTraffic {
    return this.#bus?.traffic() ?? NO_TRAFFIC;
  }
}
