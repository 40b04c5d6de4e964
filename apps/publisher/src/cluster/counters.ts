import type { Publication, Target } from "@fanwire/protocol";
import type { FailureReason } from "./failure.ts";
import type { AcceptedStatus, PublishResult } from "./publish-result.ts";

export type PublishOutcomeName = AcceptedStatus | FailureReason;

/**
 * Counts publications and receipts. Plain numbers, because prom-client makes a string of the labels for each increment.
 */
export class ClusterCounters {
  /** By outcome, then by kind of target. */
  readonly publications = new Map<PublishOutcomeName, Map<Target["kind"], number>>();
  acceptedPublications = 0;
  /** Bytes of content of accepted publications. */
  contentBytes = 0;
  completeReceipts = 0;
  incompleteReceipts = 0;
  openTraces = 0;
  /** Publications and events that traces have shown. */
  tracedEvents = 0;
  /** Publications and events that traces have left out, as far as their number is known. */
  untracedEvents = 0;
  /** Seconds in which a trace unsubscribed from publications because they exceeded its bounds. */
  tracePauses = 0;

  countPublication({ target, content }: Publication, result: PublishResult): void {
    const outcome = result.ok ? result.status : result.reason;
    const targets = this.publications.get(outcome) ?? new Map<Target["kind"], number>();
    this.publications.set(outcome, targets.set(target.kind, (targets.get(target.kind) ?? 0) + 1));
    if (!result.ok) return;
    this.acceptedPublications++;
    this.contentBytes += content.length;
  }

  countReceipt(isComplete: boolean): void {
    if (isComplete) this.completeReceipts++;
    else this.incompleteReceipts++;
  }
}
