import { SlicedWork } from "../pacing/sliced-work.ts";
import type { Join, PresentTopic } from "./present-topic.ts";

type LimitedParts = {
  /** Calls {@link LimitedJoins.decide} with a join when all workers know its claim. */
  fence(join: Join): void;
  /** Brings the view and the other workers up to date with a user of this worker. */
  updateLocal(topic: PresentTopic, user: string): void;
  /** Makes the user of a join a member. */
  makeMember(join: Join): void;
  refuse(join: Join): void;
};

/**
 * Enforces the limit of members in the whole cluster. A user claims a place first. The other workers know of the claim
 * before it is decided, and this one knows of their earlier claims. The users with the first claims become members.
 */
export class LimitedJoins {
  readonly #parts: LimitedParts;
  readonly #work = new SlicedWork();

  constructor(parts: LimitedParts) {
    this.#parts = parts;
  }

  claim(join: Join, maxMembers: number): void {
    const { topic, member, connectionId } = join;
    join.claimed = maxMembers;
    const isNew = topic.locals.claim(connectionId, member, () => topic.view.nextOrder());
    if (isNew) this.#parts.updateLocal(topic, member.user);
    this.#parts.fence(join);
  }

  /** Decides claims in a later tick. There may be thousands. */
  decide(joins: readonly Join[]): void {
    this.#work.add(this.#decideEach(joins));
  }

  *#decideEach(joins: readonly Join[]): Iterable<void> {
    const grantable = new Map<PresentTopic, ReadonlySet<string>>();
    for (const join of joins) {
      const { topic, member, claimed = 0 } = join;
      if (!topic.joins.has(join)) continue;
      const users = grantable.get(topic) ?? topic.view.grantable(claimed);
      grantable.set(topic, users);
      if (users.has(member.user) || topic.view.isPresent(member.user)) this.#parts.makeMember(join);
      else this.#withdraw(join);
      yield;
    }
  }

  #withdraw(join: Join): void {
    const { topic, member, connectionId } = join;
    join.claimed = undefined;
    topic.locals.remove(connectionId, member.user);
    this.#parts.updateLocal(topic, member.user);
    this.#parts.refuse(join);
  }
}
