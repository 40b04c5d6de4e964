import type { BusSubscription } from "@fanwire/bus";
import type { Connection } from "../connections/connection.ts";
import type { Announced } from "./announcer.ts";
import type { ChangeGroup, ChangeGroups } from "./change-groups.ts";
import { LocalMembers } from "./local-members.ts";
import type { Member, MemberList } from "./members.ts";
import type { TopicView } from "./topic-view.ts";

export type JoinOptions = {
  /**
   * Maximum number of members in the cluster; a further user is refused. No limit if absent. The user claims a place
   * first, and the order of the claims decides, so that simultaneous joins to several workers never exceed it.
   */
  readonly maxMembers?: number;
  /** Whether the list has all members and changes name all users, also above `MAX_LISTED`. */
  readonly isListWhole?: boolean;
  /** Whether the connection receives no changes until `Presence.release`. */
  readonly isHeld?: boolean;
  /** Called instead of `onOutcome` if the connection leaves, but does not close, before the outcome. */
  onLeave?(): void;
};

export type JoinOutcome =
  | { readonly ok: true; readonly list: MemberList }
  | { readonly ok: false; readonly reason: JoinRefusal };

/** `limit`: `maxMembers`. `memory`: this worker has no memory for more members. */
export type JoinRefusal = "limit" | "memory";

/** A connection on a topic. */
export type Join = {
  readonly connection: Connection;
  readonly connectionId: number;
  readonly topic: PresentTopic;
  readonly member: Member;
  /** Callers that wait for the outcome. */
  waiting: { readonly options: JoinOptions; onOutcome(outcome: JoinOutcome): void }[];
  /** Maximum members of the claim; undefined without a claim. */
  claimed: number | undefined;
  /** Whether this join has made its user a member. */
  isRegistered: boolean;
  /** Whether NATS has the announcement. */
  isConfirmed: boolean;
  refusal: JoinRefusal | undefined;
  /** Whether the outcome that makes its user a member was reported. */
  hasJoined: boolean;
  /** Undefined while it receives no changes. */
  group: ChangeGroup | undefined;
};

/** A topic that connections of this worker have joined, or are joining. */
export class PresentTopic implements Announced {
  readonly name: string;
  readonly subject: string;
  readonly groups: ChangeGroups;
  readonly view: TopicView;
  readonly locals = new LocalMembers();
  readonly joins = new Set<Join>();
  /** Joins whose outcome follows the next flush. */
  readonly ready = new Set<Join>();
  counter = 0;
  /** Whether a change is being written to groups, or outcomes are being reported. */
  isFlushing = false;
  /** Whether the topic must be flushed again afterwards. */
  isFlushDue = false;
  flushedAt = Number.NEGATIVE_INFINITY;
  /** Whether some connection must learn of every change of a member. */
  needsAllChanges = false;
  /** Whether the members on all workers are known, as far as these answer. */
  isLoaded = false;
  /** Whether NATS has confirmed the subscription. */
  isSubscribed = false;
  /** Other workers whose answer is awaited. */
  readonly awaited = new Set<string>();
  /** Time at which the wait for their answers ends. */
  loadedBy: number;
  subscription: BusSubscription | undefined;

  constructor(options: {
    readonly name: string;
    readonly subject: string;
    readonly groups: ChangeGroups;
    readonly view: TopicView;
    readonly loadedBy: number;
  }) {
    this.name = options.name;
    this.subject = options.subject;
    this.groups = options.groups;
    this.view = options.view;
    this.loadedBy = options.loadedBy;
  }
}
