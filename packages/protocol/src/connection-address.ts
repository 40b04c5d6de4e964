/** Names one connection in the whole cluster; written `<workerId>.<connectionId>`. */
export type ConnectionAddress = {
  /** A worker's id, or the number of a Workerman worker behind a channel server. */
  readonly workerId: string;
  /** Counts from 1 in each worker. */
  readonly connectionId: number;
};

/** Length of a worker id: 8 characters of `[a-z0-9]`, the first a letter. */
const WORKER_ID = /^[a-z][a-z0-9]{7}$/;
const WORKERMAN_WORKER_ID = /^(0|[1-9][0-9]{0,15})$/;
const CONNECTION_ID = /^[1-9][0-9]{0,15}$/;
const LETTERS = "abcdefghijklmnopqrstuvwxyz";
const LETTERS_AND_DIGITS = `${LETTERS}0123456789`;

export function isWorkerId(text: string): boolean {
  return WORKER_ID.test(text);
}

/**
 * Whether the text is a Workerman worker's id: a number from 0, in decimal without leading zeros. Such ids are unique
 * within one PHP process group only; who starts several that share a channel server gives them distinct ones.
 */
export function isWorkermanWorkerId(text: string): boolean {
  return WORKERMAN_WORKER_ID.test(text);
}

/**
 * A worker id from 8 random numbers in [0, 1).
 * Small integers, as the Workerman cluster had, repeat on every machine: a targeted push then reaches strangers.
 */
export function workerIdFrom(random: () => number): string {
  const pick = (alphabet: string) => alphabet.charAt(Math.floor(random() * alphabet.length));
  return pick(LETTERS) + Array.from({ length: 7 }, () => pick(LETTERS_AND_DIGITS)).join("");
}

/** The number behind decimal digits without sign or leading zero, or `undefined`. */
export function parseConnectionId(text: string): number | undefined {
  if (!CONNECTION_ID.test(text)) return undefined;
  const id = Number(text);
  return Number.isSafeInteger(id) ? id : undefined;
}

export function formatConnectionAddress(address: ConnectionAddress): string {
  return `${address.workerId}.${address.connectionId}`;
}

/** Reads `<workerId>.<connectionId>`; `undefined` for anything {@link formatConnectionAddress} never writes. */
export function parseConnectionAddress(text: string): ConnectionAddress | undefined {
  const dot = text.indexOf(".");
  const workerId = text.slice(0, dot);
  const connectionId = parseConnectionId(text.slice(dot + 1));
  if (!isWorkerId(workerId) && !isWorkermanWorkerId(workerId)) return undefined;
  return dot > 0 && connectionId !== undefined ? { workerId, connectionId } : undefined;
}
