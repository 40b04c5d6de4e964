export type AckSubject = {
  readonly streamSequence: number;
  /** Number of this delivery by the consumer, from 1. */
  readonly consumerSequence: number;
  /** Number of deliveries of the message, this one included. */
  readonly count: number;
  /** Milliseconds since 1970, by the clock of the NATS server. */
  readonly storedAt: number;
};

/**
 * Parses the subject to which a message is acknowledged; returns `undefined` for any other subject. Its form is
 * `$JS.ACK.<stream>.<consumer>.<count>.<stream sequence>.<consumer sequence>.<nanoseconds>.<pending>`, newer servers
 * with `<domain>.<account>` before the stream and more at the end.
 */
export function parseAckSubject(subject: string): AckSubject | undefined {
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
