import { AckPolicy, type ConsumerAPI, DeliverPolicy } from "@nats-io/jetstream";
import { nanos, nuid } from "@nats-io/transport-node";
import { parseAckSubject } from "../connection/ack-subject.ts";
import type { BusMessage } from "../connection/bus.ts";
import type { NatsBus } from "../connection/nats-bus.ts";

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
  /** Counts from 1 in what the consumer delivers. */
  readonly turn: number;
  readonly time: Date;
};

/**
 * Many messages of a stream at once, in order, through a consumer that lives no longer than this call. It may end early: the
 * consumer may sit on a replica that lags, and what it promised may have been dropped meanwhile.
 *
 * @throws what the JetStream client throws.
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
    const count = Math.min(range.maxMessages, consumer.num_pending);
    return count === 0 ? [] : await pull(bus, `${range.stream}.${name}`, count, range);
  } finally {
    // The server would remove it too, but later.
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
      // Anything without a place in the stream says that no more will come. One out of turn says that some before it were
      // lost on the way, as when the connection broke in between: what follows it would hide them.
      if (stored?.turn !== received.length + 1) {
        end();
        return;
      }
      received.push(stored);
      if (received.length === count) end();
    });
    // The server counts content also where it does not send it.
    const limit = withoutContent ? {} : { max_bytes: maxBytes };
    const request = JSON.stringify({ batch: count, ...limit, no_wait: true });
    bus.connection.publish(`$JS.API.CONSUMER.MSG.NEXT.${consumer}`, request, { reply: inbox });
  });
}

function parseMessage(message: BusMessage): RangeMessage | undefined {
  const delivery = parseAckSubject(message.reply ?? "");
  if (delivery === undefined) return undefined;
  const { streamSequence: sequence, consumerSequence: turn, storedAt } = delivery;
  return { message, sequence, turn, time: new Date(storedAt) };
}
