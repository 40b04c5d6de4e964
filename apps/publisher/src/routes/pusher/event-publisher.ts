import type { ClusterPublisher } from "../../cluster/publish.ts";
import type { PublishRequest } from "../../cluster/publish-request.ts";
import type { PublishResult } from "../../cluster/publish-result.ts";
import type { ApiParts } from "../../http/api.ts";
import { ApiError } from "../../http/errors.ts";
import type { EventChannel, EventRequest } from "./event-request.ts";
import { throwOutcome } from "./publish-outcome.ts";

/** Bytes for the headers of a publication beside the name of its event. */
const HEADER_BYTES = 256;

type PublishParts = {
  readonly publisher: Pick<ClusterPublisher, "maxBytes" | "publishAll">;
  readonly history: Pick<ApiParts["history"], "epoch" | "state">;
};

/** Publishes events. Those to cache channels are stored, so that new subscribers receive the last one. */
export class EventPublisher {
  readonly #parts: PublishParts;
  /** Whether JetStream was missing at the last try. The epoch of a history stays known after that. */
  #isJetStreamMissing = false;

  constructor(parts: PublishParts) {
    this.#parts = parts;
  }

  /**
   * Publishes events in order. Without JetStream all of them are live.
   *
   * @throws ApiError unless all of them are published. Its `details` name the channels without an event if only some are.
   */
  async publish(events: readonly EventRequest[]): Promise<void> {
    for (const event of events) checkSize(this.#parts, event);
    const hasCache = events.some(({ channels }) => channels.some(({ isCache }) => isCache));
    const isStoring = hasCache && (await this.#hasHistory());
    const requests = events.flatMap((event) => event.channels.map((channel) => requestOf(event, channel, isStoring)));
    const results = await this.#parts.publisher.publishAll(requests);
    throwOutcome(events, await this.#withoutHistory(requests, results));
  }

  /**
   * Whether there is a history, also if it cannot be used now. A live event would then leave an older one in the cache.
   */
  async #hasHistory(): Promise<boolean> {
    const { history } = this.#parts;
    if (history.epoch !== undefined && !this.#isJetStreamMissing) return true;
    const state = await history.state();
    this.#isJetStreamMissing = !state.ok && state.reason === "no-jetstream";
    return !this.#isJetStreamMissing;
  }

  /**
   * Publishes again, live, what could not be stored because NATS runs without JetStream since its last restart. Only
   * the first request after that has these events behind its later ones.
   */
  async #withoutHistory(
    requests: readonly PublishRequest[],
    results: readonly PublishResult[],
  ): Promise<readonly PublishResult[]> {
    const isRefused = (result: PublishResult | undefined) => result?.ok === false && result.reason === "no-jetstream";
    const refused = requests.filter((_, at) => isRefused(results[at]));
    if (refused.length === 0) return results;
    this.#isJetStreamMissing = true;
    const again = await this.#parts.publisher.publishAll(refused.map((request) => ({ ...request, isDurable: false })));
    const live = new Map(refused.map((request, at) => [request, again[at]]));
    return requests.flatMap((request, at) => live.get(request) ?? results[at] ?? []);
  }
}

/** NATS would refuse a large event after it had published those before it. */
function checkSize({ publisher }: PublishParts, { event, content }: EventRequest): void {
  const bytes = content.length + Buffer.byteLength(event) + HEADER_BYTES;
  if (publisher.maxBytes > 0 && bytes > publisher.maxBytes) throw new ApiError("content_too_large");
}

function requestOf(
  { content, event, except }: EventRequest,
  channel: EventChannel,
  isStoring: boolean,
): PublishRequest {
  const publication = { target: channel.target, content, event, ...(except !== undefined && { except }) };
  return { publications: [publication], isDurable: channel.isCache && isStoring, wantsReceipt: false };
}
