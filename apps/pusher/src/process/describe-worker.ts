import { type Bus, withTimeout } from "@fanwire/bus";
import type { WorkerDescription } from "@fanwire/protocol";
import { processFacts, processLoad } from "@fanwire/service";
import type { Counters } from "../connections/counters.ts";
import type { Lists } from "../control/lists.ts";
import type { Hub } from "../hub/hub.ts";
import { Rates } from "./rates.ts";

const RATE_SAMPLE_MS = 2_000;
const RATE_SAMPLES = 6;
/**
 * Maximum wait for the sum of unsent bytes, because a publisher takes a worker that answers late for one that hangs.
 */
const SUM_WITHIN_MS = 100;

type DescriptionParts = {
  readonly workerId: string;
  readonly bus: Bus;
  readonly hub: Hub;
  readonly lists: Lists;
  readonly counters: Counters;
};

/** Describes this worker for the HTTP API. */
export class WorkerDescriber {
  readonly #parts: DescriptionParts;
  readonly #rates = new Rates<"publications" | "deliveries" | "bytes" | "accepted">(RATE_SAMPLES);
  readonly #timer: NodeJS.Timeout;

  constructor(parts: DescriptionParts) {
    this.#parts = parts;
    this.#sample();
    this.#timer = setInterval(() => this.#sample(), RATE_SAMPLE_MS);
    // The samples of the delay begin now, so that the first description has some.
    processLoad();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  describe(): WorkerDescription {
    const { workerId: id, hub } = this.#parts;
    const rates = this.#rates;
    return {
      id,
      ...processFacts(),
      connections: hub.openConnections,
      rates: {
        publicationsPerSecond: rates.perSecond("publications"),
        deliveriesPerSecond: rates.perSecond("deliveries"),
        bytesPerSecond: rates.perSecond("bytes"),
        acceptedPerSecond: rates.perSecond("accepted"),
      },
    };
  }

  /** Returns what takes longer than a read of numbers. */
  async details(): Promise<Partial<WorkerDescription>> {
    const { hub, lists, bus } = this.#parts;
    const nats = bus.node();
    // The sum may have to wait for lists, or be refused because too many wait. The other facts do not need it.
    const socketBytes = await withTimeout(SUM_WITHIN_MS, lists.unsentBytes()).catch(() => undefined);
    return {
      users: lists.userCount,
      topics: lists.topicCount,
      ...processLoad(),
      ...(socketBytes !== undefined && { unsentBytes: socketBytes + hub.slowConsumerBytes }),
      history: this.#history(),
      ...(nats !== undefined && { nats }),
    };
  }

  #history(): NonNullable<WorkerDescription["history"]> {
    const { position, frontier } = this.#parts.hub;
    if (position === undefined) return { position: null, isCurrent: false };
    const lagMs = Math.round(frontier.lagMs);
    return { position, isCurrent: lagMs === 0 && frontier.waiting === 0, ...(lagMs > 0 && { lagMs }) };
  }

  #sample(): void {
    const { counters } = this.#parts;
    this.#rates.sample(performance.now(), {
      publications: Object.values(counters.publications).reduce((sum, count) => sum + count, 0),
      deliveries: counters.deliveries,
      bytes: counters.deliveredBytes,
      accepted: counters.accepted,
    });
  }
}
