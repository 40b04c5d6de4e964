import { isEarlierEpoch } from "@fanwire/bus";
import { headerNames, type Position, parsePosition } from "@fanwire/protocol";
import type { WaitingOutcome } from "../fanout/receipt-counter.ts";
import type { Reader } from "../hub/live-backlog.ts";
import type { Received, SharedSubscription } from "../hub/shared-subscription.ts";
import { hasCopy, type Missed } from "./missed-lists.ts";
import type { Replay } from "./replay-reader.ts";

/** Subscriptions of one connection that are not live yet. */
type Waiting = {
  readonly readers: ReadonlyMap<SharedSubscription, Reader>;
  /** Without a replay, the connection receives what was stored after this position. */
  readonly startsAfter: Position | undefined;
  /** Position from which the replay begins; undefined without a replay. */
  readonly since: string | undefined;
  readonly replay: Replay | undefined;
};

/** Whether a connection that waited receives a publication with a receipt. */
export type ReceiptOutcome = { readonly id: string; readonly reader: Reader; readonly outcome: WaitingOutcome };

type Arrived = {
  /** Publications that the connection has to receive, in the order of arrival. */
  readonly missed: readonly Missed[];
  readonly receipts: readonly ReceiptOutcome[];
};

const NONE: readonly never[] = [];

/**
 * Takes the publications that arrived while a connection waited from the backlogs. Leaves out those of its replay, and
 * those from before its start. Returns undefined if some were evicted. `canCarry`: whether the protocol of the connection
 * has a frame for a publication.
 */
export function takeArrived(waiting: Waiting, canCarry: (publication: Missed) => boolean): Arrived | undefined {
  const missed: Missed[] = [];
  let receipts: ReceiptOutcome[] | undefined;
  const upTo = waiting.replay?.upTo ?? waiting.startsAfter;
  for (const [subscription, reader] of waiting.readers) {
    const entries = subscription.backlog.take(reader);
    if (entries === undefined) return undefined;
    for (const received of entries) {
      const isNews = upTo === undefined || isLaterThan(received, upTo);
      if (isNews) missed.push({ subscription, received });
      const id = receiptOf(received);
      if (!id) continue;
      const isSent = isNews || isReplayed({ subscription, received }, waiting);
      receipts ??= [];
      const outcome = isSent && canCarry({ subscription, received }) ? "received" : "not-received";
      receipts.push({ id, reader, outcome });
    }
  }
  missed.sort((one, other) => one.received.arrival - other.received.arrival);
  return { missed, receipts: receipts ?? NONE };
}

/**
 * Takes the receipts of publications that arrived before a subscription ended. The part of the replay that has been
 * sent may contain them.
 */
export function takeReceipts(waiting: Waiting, subscription: SharedSubscription, reader: Reader): ReceiptOutcome[] {
  return (subscription.backlog.take(reader) ?? NONE).flatMap((received) => {
    const id = receiptOf(received);
    if (!id) return [];
    return { id, reader, outcome: isReplayed({ subscription, received }, waiting) ? "unknown" : "not-received" };
  });
}

function receiptOf({ message }: Received): string | undefined {
  return message.headers?.get(headerNames.receipt);
}

/** Whether a replay has a publication that arrived while the client waited. The client may have it already. */
function isReplayed({ subscription, received }: Missed, { since: text = "", replay }: Waiting): boolean {
  const { position } = received;
  const since = parsePosition(text);
  if (replay === undefined || since === undefined || since.epoch !== position?.epoch) return false;
  const { sequence } = position;
  return sequence > since.sequence && sequence <= replay.upTo.sequence && !hasCopy(since, received, subscription);
}

/** Whether a message is live, or stored after a position, perhaps in a history that was recreated since. */
function isLaterThan({ position }: Received, upTo: Position): boolean {
  if (position === undefined) return true;
  if (position.epoch !== upTo.epoch) return isEarlierEpoch(upTo.epoch, position.epoch);
  return position.sequence > upTo.sequence;
}
