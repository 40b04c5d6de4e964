/** Where a reader stands in the history; written `<epoch>-<sequence>`. */
export type Position = {
  /** Names one life of the stream: a recreated stream has another epoch, and old sequences mean nothing in it. */
  readonly epoch: string;
  /** Stream sequence of the last publication the reader has; 0 before the first. */
  readonly sequence: number;
};

const POSITION = /^([a-z0-9]{1,32})-(0|[1-9][0-9]{0,15})$/;

export function formatPosition(position: Position): string {
  return `${position.epoch}-${position.sequence}`;
}

/** `undefined` for anything {@link formatPosition} never writes. */
export function parsePosition(text: string): Position | undefined {
  const [, epoch, digits] = POSITION.exec(text) ?? [];
  const sequence = Number(digits);
  return epoch !== undefined && Number.isSafeInteger(sequence) ? { epoch, sequence } : undefined;
}
