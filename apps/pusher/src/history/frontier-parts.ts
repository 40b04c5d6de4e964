import type { Bus, BusMessage, History } from "@fanwire/bus";
import type { Subjects } from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import type { Counters } from "../connections/counters.ts";
import type { MemoryBudget } from "../connections/memory-budget.ts";

/** A subscription of this worker, as the frontier needs it. */
export type OrderedSubscription = {
  /** Orders the copies of a publication that several subscriptions receive. Every worker has the same order. */
  readonly tag: string;
  /** Time at which it subscribed, in milliseconds of `performance.now()`. */
  readonly begunAt: number;
};

/** Parts of the worker that the frontier uses. */
export type FrontierParts<To extends OrderedSubscription> = {
  readonly bus: Bus;
  readonly history: History;
  readonly subjects: Subjects;
  readonly budget: MemoryBudget;
  readonly counters: Counters;
  readonly log: Log;
  /** Returns the subscriptions that receive publications stored under a history subject. */
  subscriptionsTo(historySubject: string): readonly To[];
  allSubscriptions(): Iterable<To>;
  /** Whether any connection is open. */
  hasConnections(): boolean;
  /** Whether a connection receives the copies of both. */
  haveCommon(one: To, other: To): boolean;
  /** `resume`: position of a connection that receives this copy and misses a later one of the same publication. */
  deliver(to: To, message: BusMessage, at: { readonly position: string; readonly resume?: string }): void;
  /**
   * Called with subscriptions that missed a publication which is no longer stored. Until it resolves, no connection
   * receives a later position, which would hide the gap.
   */
  missed(to: readonly To[]): Promise<void>;
  /**
   * Called when the history was restored to an older state, so that no position is valid any longer. Until it resolves,
   * no connection receives a position in the restored history.
   */
  restored(): Promise<void>;
  /** Whether connections have unsent bytes, so that delivery of old publications should wait. */
  isCongested(): boolean;
};
