/** Where a reader stands in the history; written `<epoch>-<sequence>`, or between two sequences `<epoch>-<sequence>.<copy>`. */
export type Position = {
  /** Names one life of the stream: a recreated stream has another epoch, and old sequences mean nothing in it. */
  readonly epoch: string;
  /** The reader has everything up to this sequence of the stream; 0 before the first. */
  readonly sequence: number;
  /**
   * Ten digits. The reader also has some copies of the publication after `sequence`, which several of its subscriptions
   * bring: those with this tag or a lower one.
   */
  readonly copy?: string;
};

const POSITION = /^([a-z0-9]{1,32})-(0|[1-9][0-9]{0,15})(?:\.([0-9]{10}))?$/;

export function formatPosition({ epoch, sequence, copy }: Position): string {
  return copy === undefined ? `${epoch}-${sequence}` : `${epoch}-${sequence}.${copy}`;
}

/** `undefined` for anything {@link formatPosition} never writes. */
export function parsePosition(text: string): Position | undefined {
  const [, epoch, digits, copy] = POSITION.exec(text) ?? [];
  const sequence = Number(digits);
  if (epoch === undefined || !Number.isSafeInteger(sequence)) return undefined;
  return copy === undefined ? { epoch, sequence } : { epoch, sequence, copy };
}
