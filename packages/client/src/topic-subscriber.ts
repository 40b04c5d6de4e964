import type { CommandSender } from "./commands.ts";
import { FanwireError } from "./error.ts";
import type { Topic, Topics } from "./topics.ts";

/** Errors after which a subscribe command is not retried. */
const FINAL_REFUSALS: readonly string[] = ["forbidden", "topic-limit", "invalid"];

type TopicSubscriberParts = {
  readonly topics: Topics;
  readonly sender: CommandSender;
  onRefused(topic: string, error: FanwireError): void;
  /** Ends the connection, so that everything is restored on the next one. */
  abandon(reason: string): void;
};

/** Sends the commands that subscribe the current connection to topics. */
export class TopicSubscriber {
  readonly #parts: TopicSubscriberParts;

  constructor(parts: TopicSubscriberParts) {
    this.#parts = parts;
  }

  /** Subscribes to a new topic. A failure removes the topic. */
  subscribe(topic: Topic): void {
    const { attempt } = topic;
    this.#subscribe(topic).catch((error: FanwireError) => {
      if (error.code === "disconnected" || topic.attempt !== attempt) return;
      if (error.code === "timeout") this.unsubscribe(topic.name).catch(() => {});
      this.#parts.topics.remove(topic, error);
    });
  }

  /** Subscribes to a topic of an earlier connection. Resolves with whether it has recovered. */
  async restore(topic: Topic): Promise<boolean | null> {
    const { topics, abandon, onRefused } = this.#parts;
    try {
      return await this.#subscribe(topic);
    } catch (error) {
      if (!(error instanceof FanwireError && FINAL_REFUSALS.includes(error.code))) {
        abandon("resubscribing to a topic failed");
        return false;
      }
      topics.remove(topic, error);
      onRefused(topic.name, error);
      return null;
    }
  }

  async unsubscribe(topic: string): Promise<void> {
    const { sender } = this.#parts;
    await sender.rateLimited(async () => {
      // Without a connection there is no subscription, and the next connection does not ask for it.
      if (!sender.isOpen) return;
      await sender.execute({ command: "unsubscribe", topic }).catch((error: FanwireError) => {
        if (sender.isOpen) throw error;
      });
    });
  }

  async #subscribe(topic: Topic): Promise<boolean | null> {
    const { sender } = this.#parts;
    const { name, since, attempt, startsOver } = topic;
    const { recovered = null } = await sender.rateLimited(() =>
      sender.execute({ command: "subscribe", topic: name, since }, (reply) => {
        if (topic.attempt === attempt)
          topic.onSubscribed({ recovered: reply.recovered ?? null, position: reply.position });
        else if (startsOver) topic.startOver();
      }),
    );
    return recovered;
  }
}
