import type { Bus, BusMessage, History } from "@fanwire/bus";
import { parsePosition, type Subjects } from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import type { Counters } from "../connections/counters.ts";
import type { MemoryBudget } from "../connections/memory-budget.ts";
import type { Fanout, PlaceInHistory } from "../fanout/fanout.ts";
import { copyOf } from "../history/arrivals.ts";
import { Frontier } from "../history/frontier.ts";
import { CommonConnections } from "./common-connections.ts";
import type { SharedSubscription } from "./shared-subscription.ts";
import type { SharedSubscriptions } from "./shared-subscriptions.ts";

type IncomingParts = {
  readonly bus: Bus;
  readonly history: History;
  readonly subjects: Subjects;
  readonly budget: MemoryBudget;
  readonly counters: Counters;
  readonly log: Log;
  readonly connections: { readonly size: number };
  readonly subscriptions: SharedSubscriptions;
  readonly fanout: Fanout;
  /** Called with subscriptions that missed a publication which is no longer stored. Resolves when they have ended. */
  missed(subscriptions: readonly SharedSubscription[]): Promise<void>;
  /** Called when the history was restored to an older state. Resolves when all connections that can resume have ended. */
  restored(): Promise<void>;
};

/** Delivers live publications as they arrive, and durable ones in the order of the history. */
export class IncomingPublications {
  readonly #parts: IncomingParts;
  readonly frontier: Frontier<SharedSubscription>;
  #arrivals = 0;

  constructor(parts: IncomingParts) {
    this.#parts = parts;
    const { connections, subscriptions, fanout } = parts;
    const common = new CommonConnections();
    this.frontier = new Frontier<SharedSubscription>({
      ...parts,
      subscriptionsTo: (subject) => subscriptions.toStored(subject),
      allSubscriptions: () => subscriptions.all(),
      hasConnections: () => connections.size > 0,
      haveCommon: (one, other) => common.have(one, other),
      deliver: (subscription, message, place) => this.#deliver(subscription, message, place),
      isCongested: () => fanout.isCongested,
    });
  }

  receive(subscription: SharedSubscription, message: BusMessage): void {
    this.#parts.counters.publications[subscription.kind]++;
    const place = message.headers && this.frontier.placeOf(message);
    if (place === undefined) this.#deliver(subscription, message, undefined);
    else this.frontier.receive(place, message);
  }

  #deliver(subscription: SharedSubscription, message: BusMessage, place: PlaceInHistory | undefined): void {
    if (subscription.hasWaitingSubscribers) {
      this.#arrivals++;
      const position = place && parsePosition(place.position);
      subscription.keep({ message: copyOf(message), position, arrival: this.#arrivals });
    }
    this.#parts.fanout.toSubscribers({ subscription, message, place });
  }
}
