import type { CommandSender } from "./commands.ts";
import { FanwireError } from "./error.ts";
import type { MemberList } from "./presence.ts";
import type { Topic, Topics } from "./topics.ts";

/** Errors after which a subscribe command is not retried. */
const FINAL_REFUSALS: readonly string[] = ["forbidden", "topic-limit", "invalid"];

type TopicSubscriberParts = {
  readonly topics: Topics;
  readonly sender: CommandSender;
  onRefused(topic: string, error: FanwireError): void;
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
      const { topics } = this.#parts;
      // Without this check it would end a later subscription to the same topic.
      if (error.code === "timeout" && topics.has(topic)) this.unsubscribe(topic.name).catch(() => {});
      topics.remove(topic, error);
    });
  }

  /**
   * Subscribes to a topic of an earlier connection. Resolves with whether it has recovered. `abandon` must end the
   * current connection, and no later one, so that everything is restored on the next one.
   */
  async restore(topic: Topic, abandon: (reason: string) => void): Promise<boolean | null> {
    const { topics, onRefused } = this.#parts;
    try {
      return await this.#subscribe(topic);
    } catch (error) {
      if (!(error instanceof FanwireError && FINAL_REFUSALS.includes(error.code))) {
        abandon("topic not restored");
        return false;
      }
      topics.remove(topic, error);
      onRefused(topic.name, error);
      return null;
    }
  }

  /** Requests the members of a topic, and their changes. Must be called after `subscribe` or `restore`. */
  join(topic: Topic): void {
    const { sender } = this.#parts;
    const { name, members } = topic;
    if (members === undefined) return;
    const isLatest = members.asked();
    sender
      .executeLimited({ command: "subscribe", topic: name, presence: true }, (reply) => {
        if (reply.count !== undefined && isLatest()) members.onList(reply, reply.count);
      })
      .then(({ count }) => {
        if (count === undefined) throw new FanwireError("unsupported", "the worker has no presence");
      })
      .catch((error: FanwireError) => {
        if (isLatest()) this.#onNotEntered(topic, members, error);
      });
  }

  /** Leaves the members of a topic, and the topic itself if it is subscribed for them alone. */
  async leave(topic: Topic, members: MemberList, error: FanwireError): Promise<void> {
    const { topics } = this.#parts;
    if (topic.members !== members || !topics.has(topic)) return;
    if (!topic.isPlain) {
      topics.remove(topic, error);
      return await this.unsubscribe(topic.name);
    }
    topic.members = undefined;
    members.end(error);
    await this.#ifOpen({ command: "subscribe", topic: topic.name, presence: false });
  }

  #onNotEntered(topic: Topic, members: MemberList, error: FanwireError): void {
    // The next connection enters again.
    if (error.code === "disconnected") return;
    if (error.code === "timeout" || error.code === "unavailable") {
      members.askLater(() => this.join(topic));
      return;
    }
    this.leave(topic, members, error).catch(() => {});
  }

  async unsubscribe(topic: string): Promise<void> {
    await this.#ifOpen({ command: "unsubscribe", topic });
  }

  async #ifOpen(command: Readonly<Record<string, unknown>>): Promise<void> {
    const { sender } = this.#parts;
    // Without a connection there is no subscription, and the next connection does not ask for it. The command must not
    // wait for a connection that may have it again.
    if (!sender.isOpen) return;
    await sender.executeLimited(command).catch((error: FanwireError) => {
      if (sender.isOpen) throw error;
    });
  }

  async #subscribe(topic: Topic): Promise<boolean | null> {
    const { sender } = this.#parts;
    const { name, since, attempt, startsOver } = topic;
    const { recovered = null } = await sender.executeLimited({ command: "subscribe", topic: name, since }, (reply) => {
      if (topic.attempt === attempt)
        topic.onSubscribed({ recovered: reply.recovered ?? null, position: reply.position });
      else if (startsOver) topic.startOver();
    });
    return recovered;
  }
}
