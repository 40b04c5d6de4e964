/**
 * Position of a reader in the history, written `<epoch>-<sequence>`, or between two sequences
 * `<epoch>-<sequence>.<copy>`.
 */
export type Position = {
  /** Identifies the stream. A recreated stream has another epoch, in which old sequences are meaningless. */
  readonly epoch: string;
  /** Sequence of the stream up to which the reader has everything; 0 before the first. */
  readonly sequence: number;
  /**
   * Ten digits. Several subscriptions of the reader match the publication after `sequence`. The reader has the copies
   * with this tag or a lower one.
   */
  readonly copy?: string;
};

const POSITION = /^([a-z0-9]{1,32})-(0|[1-9][0-9]{0,15})(?:\.([0-9]{10}))?$/;

export function formatPosition({ epoch, sequence, copy }: Position): string {
  return copy === undefined ? `${epoch}-${sequence}` : `${epoch}-${sequence}.${copy}`;
}

/** Parses a position; returns `undefined` for text that {@link formatPosition} never writes. */
export function parsePosition(text: string): Position | undefined {
  const [, epoch, digits, copy] = POSITION.exec(text) ?? [];
  const sequence = Number(digits);
  if (epoch === undefined || !Number.isSafeInteger(sequence)) return undefined;
  return copy === undefined ? { epoch, sequence } : { epoch, sequence, copy };
}
