import { AckPolicy, type ConsumerAPI, DeliverPolicy } from "@nats-io/jetstream";
import { nanos, nuid } from "@nats-io/transport-node";
import { parseAckSubject } from "../connection/ack-subject.ts";
import type { BusMessage } from "../connection/bus.ts";
import type { NatsBus } from "../connection/nats-bus.ts";
import { largestBatchOf } from "./entry-consumer.ts";

/** Stops waiting for announced messages after this much silence. */
const SILENCE_MS = 1_000;
/** The server removes the consumer of a dead reader after this time. */
const FORGET_AFTER_MS = 10_000;

export type Range = {
  readonly stream: string;
  /** Undefined: everything. */
  readonly filter: string | undefined;
  /** First sequence wanted. */
  readonly from: number;
  readonly maxMessages: number;
  readonly maxBytes: number;
  readonly withoutContent: boolean;
};

export type RangeMessage = {
  readonly message: BusMessage;
  readonly sequence: number;
  /** Number of the delivery by the consumer, from 1. */
  readonly delivery: number;
  readonly time: Date;
};

/**
 * Reads many messages of a stream, in order, through a consumer that is deleted after this call. The result may end
 * early, because the consumer may be on an outdated replica, and announced messages may have been dropped meanwhile.
 *
 * @throws errors of the JetStream client.
 */
export async function readRange(bus: NatsBus, consumers: ConsumerAPI, range: Range): Promise<RangeMessage[]> {
  const name = nuid.next();
  const consumer = await consumers.add(range.stream, {
    name,
    ...(range.filter !== undefined && { filter_subject: range.filter }),
    headers_only: range.withoutContent,
    deliver_policy: DeliverPolicy.StartSequence,
    opt_start_seq: range.from,
    ack_policy: AckPolicy.None,
    mem_storage: true,
    num_replicas: 1,
    inactive_threshold: nanos(FORGET_AFTER_MS),
  });
  try {
    const count = Math.min(range.maxMessages, consumer.num_pending, largestBatchOf(consumer));
    return count === 0 ? [] : await pull(bus, `${range.stream}.${name}`, count, range);
  } finally {
    // The server would delete it too, but later.
    consumers.delete(range.stream, name).catch(() => {});
  }
}

function pull(
  bus: NatsBus,
  consumer: string,
  count: number,
  { maxBytes, withoutContent }: Pick<Range, "maxBytes" | "withoutContent">,
): Promise<RangeMessage[]> {
  const inbox = bus.createInbox();
  const received: RangeMessage[] = [];
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(silence);
      subscription.unsubscribe();
      resolve(received);
    };
    const silence = setTimeout(end, SILENCE_MS);
    const subscription = bus.subscribe(inbox, (message) => {
      const stored = parseMessage(message);
      silence.refresh();
      // A message that was not stored ends the range. After a gap in the delivery numbers messages were lost, for
      // example with the connection, and later messages would hide that.
      if (stored?.delivery !== received.length + 1) {
        end();
        return;
      }
      received.push(stored);
      if (received.length === count) end();
    });
    // The server counts content even if it does not send it.
    const limit = withoutContent ? {} : { max_bytes: maxBytes };
    const request = JSON.stringify({ batch: count, ...limit, no_wait: true });
    bus.connection.publish(`$JS.API.CONSUMER.MSG.NEXT.${consumer}`, request, { reply: inbox });
  });
}

function parseMessage(message: BusMessage): RangeMessage | undefined {
  const acknowledged = parseAckSubject(message.reply ?? "");
  if (acknowledged === undefined) return undefined;
  const { streamSequence: sequence, consumerSequence, storedAt } = acknowledged;
  return { message, sequence, delivery: consumerSequence, time: new Date(storedAt) };
}
