export type Delivery = {
  readonly streamSequence: number;
  /** Counts up from 1 what the consumer has delivered. */
  readonly consumerSequence: number;
  /** How often the message was given out, this time included. */
  readonly count: number;
  /** Milliseconds since 1970, by the clock of the NATS server. */
  readonly storedAt: number;
};

/**
 * What JetStream says about a message in the subject its acknowledgement goes to; `undefined` for any other subject:
 * `$JS.ACK.<stream>.<consumer>.<count>.<stream sequence>.<consumer sequence>.<nanoseconds>.<pending>`, newer servers with
 * `<domain>.<account>` before the stream and more at the end.
 */
export function parseAckSubject(subject: string): Delivery | undefined {
  const tokens = subject.split(".");
  if (tokens[0] !== "$JS" || tokens[1] !== "ACK" || tokens.length < 9 || tokens.length === 10) return undefined;
  const at = tokens.length === 9 ? 4 : 6;
  const [count, streamSequence, consumerSequence, nanos] = tokens.slice(at, at + 4).map(Number);
  if (!isCount(count) || !isCount(streamSequence) || !isCount(consumerSequence)) return undefined;
  if (nanos === undefined || !Number.isFinite(nanos)) return undefined;
  return { count, streamSequence, consumerSequence, storedAt: nanos / 1e6 };
}

function isCount(value: number | undefined): value is number {
  return Number.isSafeInteger(value);
}
