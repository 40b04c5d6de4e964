import type {
  Bus,
  BusHealth,
  BusPublication,
  BusSubscription,
  BusTraffic,
  GatherOutcome,
  HeaderEntries,
  PublishOutcome,
  Receiver,
  RequestOutcome,
  SendOutcome,
} from "./bus.ts";

type EarlySubscription = {
  readonly args: Parameters<Bus["subscribe"]>;
  made: BusSubscription | undefined;
};

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
 * The bus from before the first connection on: until {@link arrive} everything is `unavailable`, and subscriptions wait. So a
 * service answers truthfully, and serves whom it can, whether or not NATS was ever there.
 */
export class LateBus implements Bus {
  #bus: Bus | undefined;
  readonly #earlySubscriptions = new Set<EarlySubscription>();
  readonly #earlyListeners: ((isConnected: boolean) => void)[] = [];

  arrive(bus: Bus): void {
    this.#bus = bus;
    for (const early of this.#earlySubscriptions) early.made = bus.subscribe(...early.args);
    this.#earlySubscriptions.clear();
    for (const listener of this.#earlyListeners.splice(0)) bus.onConnection(listener);
  }

  health(): BusHealth {
    return this.#bus?.health() ?? { alive: false, reason: "NATS has not been reached yet" };
  }

  maxPayloadBytes(): number {
    return this.#bus?.maxPayloadBytes() ?? 0;
  }

  publish(...args: Parameters<Bus["publish"]>): Promise<PublishOutcome> {
    return this.#bus?.publish(...args) ?? Promise.resolve(UNAVAILABLE);
  }

  publishAll(publications: readonly BusPublication[]): Promise<PublishOutcome[]> {
    return this.#bus?.publishAll(publications) ?? Promise.resolve(publications.map(() => UNAVAILABLE));
  }

  send(subject: string, content: Uint8Array, headers?: HeaderEntries): SendOutcome {
    return this.#bus?.send(subject, content, headers) ?? "unavailable";
  }

  writeHeld(): void {
    this.#bus?.writeHeld();
  }

  async confirm(): Promise<boolean> {
    return (await this.#bus?.confirm()) ?? false;
  }

  async request(...args: Parameters<Bus["request"]>): Promise<RequestOutcome> {
    return this.#bus?.request(...args) ?? UNAVAILABLE;
  }

  async requestMany(...args: Parameters<Bus["requestMany"]>): Promise<GatherOutcome> {
    return this.#bus?.requestMany(...args) ?? UNAVAILABLE;
  }

  gather(...args: Parameters<Bus["gather"]>): BusSubscription | undefined {
    return this.#bus?.gather(...args);
  }

  subscribe(subject: string, receiver: Receiver, group?: string): BusSubscription {
    if (this.#bus !== undefined) return this.#bus.subscribe(subject, receiver, group);
    const early: EarlySubscription = { args: [subject, receiver, group], made: undefined };
    this.#earlySubscriptions.add(early);
    return {
      subject,
      unsubscribe: () => {
        this.#earlySubscriptions.delete(early);
        early.made?.unsubscribe();
      },
    };
  }

  onConnection(listener: (isConnected: boolean) => void): void {
    if (this.#bus !== undefined) this.#bus.onConnection(listener);
    else this.#earlyListeners.push(listener);
  }

  traffic(): BusTraffic {
    return this.#bus?.traffic() ?? NO_TRAFFIC;
  }

  async stop(): Promise<void> {
    await this.#bus?.stop();
  }
}
