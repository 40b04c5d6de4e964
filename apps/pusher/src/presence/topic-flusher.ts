import type { Fanout } from "../fanout/fanout.ts";
import { SlicedWork } from "../pacing/sliced-work.ts";
import { FlushQueue } from "./flush-queue.ts";
import type { Join, JoinOptions, JoinOutcome, PresentTopic } from "./present-topic.ts";

type FlusherParts = {
  readonly fanout: Pick<Fanout, "flushTo">;
  /** Called with a join that was refused, before its outcome. */
  onRefused(join: Join): void;
};

/**
 * Writes what has changed on topics, then reports the outcome of joins, so that nothing is missing or repeated after
 * their lists.
 */
export class TopicFlusher {
  readonly #parts: FlusherParts;
  readonly #work = new SlicedWork();
  readonly #queue = new FlushQueue<PresentTopic>(this.#work, (topic) => this.#flush(topic));

  constructor(parts: FlusherParts) {
    this.#parts = parts;
  }

  add(topic: PresentTopic): void {
    this.#queue.add(topic);
  }

  remove(topic: PresentTopic): void {
    this.#queue.remove(topic);
  }

  /** Makes the connection receive changes. It must receive the list in this tick. */
  addToGroup(join: Join): void {
    if (join.group) this.#parts.fanout.flushTo(join.connection);
    else join.group = join.topic.groups.add(join.connection);
  }

  #flush(topic: PresentTopic): void {
    topic.isFlushDue = topic.isFlushing;
    if (topic.isFlushing) return;
    topic.isFlushing = true;
    const change = topic.view.takeChange(topic.needsAllChanges);
    topic.isFlushDue = topic.view.hasChanges;
    const conclude = () => this.#work.add(this.#concludeReady(topic));
    if (change) topic.groups.write(change, conclude);
    else conclude();
  }

  /** Reports outcomes. Until all are reported, clients learn of no other change. */
  *#concludeReady(topic: PresentTopic): Iterable<void> {
    for (const join of topic.ready) {
      // A user who has joined during the last write is in the next change.
      if (join.refusal === undefined && !topic.view.isShown(join.member.user)) continue;
      topic.ready.delete(join);
      this.#conclude(join);
      yield;
    }
    topic.isFlushing = false;
    if (topic.isFlushDue && topic.joins.size > 0) this.#queue.add(topic);
  }

  #conclude(join: Join): void {
    const { waiting } = join;
    join.waiting = [];
    if (join.refusal) this.#parts.onRefused(join);
    else join.hasJoined = true;
    for (const { options, onOutcome } of waiting) this.#report(join, options, onOutcome);
  }

  #report(join: Join, options: JoinOptions, onOutcome: (outcome: JoinOutcome) => void): void {
    const { topic } = join;
    if (join.refusal) {
      onOutcome({ ok: false, reason: join.refusal });
      return;
    }
    // An outcome before this one may have ended the join.
    if (!topic.joins.has(join)) return;
    if (!options.isHeld) this.addToGroup(join);
    else this.#parts.fanout.flushTo(join.connection);
    onOutcome({ ok: true, list: topic.view.list(options.isListWhole ?? false) });
  }
}
