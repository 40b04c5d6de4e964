import type { Connection } from "../connections/connection.ts";
import type { Fanout } from "../fanout/fanout.ts";
import type { ProtocolGroups } from "../fanout/subscriber-groups.ts";
import type { PresenceChange } from "./members.ts";

/** Maximum connections of a group: one tick writes a change of many users to a single group. */
const GROUP_SIZE = 200;
/** Maximum connections to which one tick writes a change of few users. */
const CONNECTIONS_PER_TICK = 1_000;
/** Maximum users of a change of few users. For Pusher clients each is a frame. */
const FEW_USERS = 100;

/** Some connections of one topic. */
export type ChangeGroup = { readonly id: number; size: number };

type Parts = {
  readonly groups: ProtocolGroups;
  readonly fanout: Pick<Fanout, "flushTo" | "writePresence">;
  /** Returns the id of a new group. */
  nextId(): number;
};

/** The connections that receive the changes of one topic, in groups, so that a large topic takes several ticks. */
export class ChangeGroups {
  readonly #parts: Parts;
  readonly #groups = new Set<ChangeGroup>();
  /** Groups to which the last change is not written yet. */
  readonly #unwritten = new Set<ChangeGroup>();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Adds a connection that knows all changes so far. */
  add(connection: Connection): ChangeGroup {
    const { fanout, groups } = this.#parts;
    fanout.flushTo(connection);
    const group = this.#withRoom() ?? this.#open();
    group.size++;
    groups.of(connection).add(group.id, connection);
    return group;
  }

  remove(connection: Connection, group: ChangeGroup): void {
    const { fanout, groups } = this.#parts;
    fanout.flushTo(connection);
    groups.of(connection).remove(group.id, connection);
    this.#onRemoved(group);
  }

  /** Removes a connection that has closed. */
  forget(connection: Connection, group: ChangeGroup): void {
    this.#parts.groups.of(connection).forget(group.id, connection);
    this.#onRemoved(group);
  }

  /** Writes a change to all groups, the first ones in this tick. Calls `onWritten` after the last. */
  write(change: PresenceChange, onWritten: () => void): void {
    for (const group of this.#groups) this.#unwritten.add(group);
    this.#writeNext(change, onWritten);
  }

  #writeNext(change: PresenceChange, onWritten: () => void): void {
    const perTick = change.joined.length + change.left.length > FEW_USERS ? GROUP_SIZE : CONNECTIONS_PER_TICK;
    let connections = 0;
    for (const group of this.#unwritten) {
      if (connections + group.size > perTick) break;
      connections += group.size;
      this.#unwritten.delete(group);
      this.#parts.fanout.writePresence(group.id, change);
    }
    if (this.#unwritten.size === 0) onWritten();
    else setImmediate(() => this.#writeNext(change, onWritten));
  }

  #withRoom(): ChangeGroup | undefined {
    for (const group of this.#groups) if (group.size < GROUP_SIZE && !this.#unwritten.has(group)) return group;
    return undefined;
  }

  #open(): ChangeGroup {
    const group = { id: this.#parts.nextId(), size: 0 };
    this.#groups.add(group);
    return group;
  }

  #onRemoved(group: ChangeGroup): void {
    group.size--;
    if (group.size > 0) return;
    this.#groups.delete(group);
    this.#unwritten.delete(group);
  }
}
