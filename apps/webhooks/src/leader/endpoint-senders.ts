import type { Journal } from "@fanwire/bus";
import type { ClusterEvent } from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import type { WebhooksConfig } from "../config.ts";
import type { Counters } from "../counters.ts";
import type { Endpoint } from "../delivery/endpoint.ts";
import { EndpointSender, MAX_POSTS, type Progress } from "../delivery/endpoint-sender.ts";
import { EventFeed } from "../delivery/event-feed.ts";
import { createPoster } from "../delivery/post.ts";
import type { Item } from "../delivery/retry-queues.ts";
import type { EventLog } from "./event-log.ts";
import type { Lease } from "./lease.ts";
import type { Records } from "./records.ts";

const RECORD = "endpoint";
/** Reads of stored events at the same time. */
const PARALLEL_READS = 32;

type SendersParts = {
  readonly events: Journal;
  readonly eventLog: EventLog;
  readonly records: Records;
  readonly lease: Lease;
  readonly config: WebhooksConfig;
  readonly counters: Counters;
  readonly log: Log;
  fail(error: unknown): void;
};

/** The senders of all endpoints, with their progress in JetStream. */
export class EndpointSenders {
  readonly all: readonly EndpointSender[];
  readonly #parts: SendersParts;
  readonly #feed: EventFeed;

  private constructor(parts: SendersParts, progress: readonly (Progress | undefined)[]) {
    this.#parts = parts;
    const { config, eventLog, events, counters, fail } = parts;
    const { lastSequence } = eventLog;
    // An endpoint that is new begins with the next event. So do all when the stream was created again.
    this.all = config.endpoints.map((endpoint, at) =>
      this.#create(endpoint, Math.min(progress[at]?.cursor ?? lastSequence, lastSequence)),
    );
    this.#feed = new EventFeed(lastSequence, {
      senders: this.all,
      read: (sequence) => eventLog.read(sequence),
      firstSequence: async () => (await events.open()).firstSequence,
      onLost: (lost) => {
        counters.lostEvents += lost;
      },
      onFailed: fail,
    });
  }

  /** Loads the progress of all endpoints, and reads the events that were not delivered. */
  static async load(parts: SendersParts): Promise<EndpointSenders> {
    const { config, records, eventLog } = parts;
    const progress = [];
    for (const { id } of config.endpoints) progress.push(progressOf(await records.load(recordOf(id))));
    const senders = new EndpointSenders(parts, progress);
    try {
      for (const [at, sender] of senders.all.entries()) {
        await restore(sender, progress[at]?.waiting ?? [], eventLog);
        senders.#feed.resume(sender);
      }
    } catch (error) {
      await senders.stop();
      throw error;
    }
    return senders;
  }

  onStored(sequence: number, event: ClusterEvent | undefined): void {
    this.#feed.onStored(sequence, event);
  }

  /** Saves the progress of the endpoints for which it has changed. */
  async save(): Promise<void> {
    const { eventLog, records } = this.#parts;
    for (const sender of this.all) {
      const progress = sender.takeProgress();
      if (progress === undefined) continue;
      // An event that was given up has left the progress, so its dead letter must be stored before.
      await eventLog.stored(eventLog.lastSequence);
      await records.save(recordOf(sender.endpoint.id), progress);
    }
  }

  /** Starts no further POST. Resolves when those in flight are over. */
  async stop(): Promise<void> {
    this.#feed.stop();
    await Promise.all(this.all.map((sender) => sender.stop()));
  }

  #create(endpoint: Endpoint, cursor: number): EndpointSender {
    const { counters, lease, log } = this.#parts;
    const counts = counters.deliveries.get(endpoint.label) ?? { delivered: 0, failed: 0, dead: 0 };
    counters.deliveries.set(endpoint.label, counts);
    const sender: EndpointSender = new EndpointSender(cursor, {
      endpoint,
      poster: createPoster(endpoint.url, MAX_POSTS),
      counts,
      log,
      isLeading: () => lease.isValid(),
      onDead: (dead, item, reason) => this.#storeDead(dead, item, reason),
      onRoom: () => this.#feed.resume(sender),
    });
    return sender;
  }

  /** Keeps an event that was refused for too long, for an operator. */
  #storeDead(endpoint: Endpoint, { sequence, entry }: Item, reason: string): void {
    const { eventLog, log } = this.#parts;
    log.error({ endpoint: endpoint.label, sequence, reason }, "webhook given up");
    eventLog.addDead(
      endpoint.label,
      `{"endpoint":"${endpoint.label}","reason":${JSON.stringify(reason)},"event":${entry}}`,
    );
  }
}

/** Accepts the events again that a former leader has not delivered, in order. */
async function restore(sender: EndpointSender, sequences: readonly number[], eventLog: EventLog): Promise<void> {
  const inOrder = [...sequences].sort((one, other) => one - other);
  for (let from = 0; from < inOrder.length; from += PARALLEL_READS) {
    const some = inOrder.slice(from, from + PARALLEL_READS);
    const reads = await Promise.all(some.map((sequence) => eventLog.read(sequence)));
    for (const [at, sequence] of some.entries()) sender.restore(sequence, reads[at]?.event);
  }
}

function recordOf(id: string): string {
  return `${RECORD}.${id}`;
}

function progressOf(record: unknown): Progress | undefined {
  const { cursor, waiting } = (record ?? {}) as { cursor?: unknown; waiting?: unknown }; // written by a leader
  if (typeof cursor !== "number" || !Array.isArray(waiting)) return undefined;
  return { cursor, waiting: waiting.filter((each) => typeof each === "number") };
}
