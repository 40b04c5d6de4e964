/** Names one connection in the whole cluster; written `<workerId>.<connectionId>`. */
export type ConnectionAddress = {
  /** Id of a worker, or number of a Workerman worker behind a channel server. */
  readonly workerId: string;
  /** Number of the connection in its worker, from 1. */
  readonly connectionId: number;
};

/** 8 characters of `[a-z0-9]`, the first a letter. */
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
 * only within one PHP process group. Groups that share a channel server need distinct ids.
 */
export function isWorkermanWorkerId(text: string): boolean {
  return WORKERMAN_WORKER_ID.test(text);
}

/**
 * Returns a worker id from 8 random numbers in [0, 1). Small integers, as in Workerman clusters, would repeat on every
 * machine, and a targeted publication would reach the wrong connection.
 */
export function workerIdFrom(random: () => number): string {
  const pick = (alphabet: string) => alphabet.charAt(Math.floor(random() * alphabet.length));
  return pick(LETTERS) + Array.from({ length: 7 }, () => pick(LETTERS_AND_DIGITS)).join("");
}

/** Parses decimal digits without sign or leading zero; returns `undefined` for other text. */
export function parseConnectionId(text: string): number | undefined {
  if (!CONNECTION_ID.test(text)) return undefined;
  const id = Number(text);
  return Number.isSafeInteger(id) ? id : undefined;
}

export function formatConnectionAddress(address: ConnectionAddress): string {
  return `${address.workerId}.${address.connectionId}`;
}

/**
 * Parses `<workerId>.<connectionId>`; returns `undefined` for text that {@link formatConnectionAddress} never writes.
 */
export function parseConnectionAddress(text: string): ConnectionAddress | undefined {
  const dot = text.indexOf(".");
  const workerId = text.slice(0, dot);
  const connectionId = parseConnectionId(text.slice(dot + 1));
  if (!isWorkerId(workerId) && !isWorkermanWorkerId(workerId)) return undefined;
  return dot > 0 && connectionId !== undefined ? { workerId, connectionId } : undefined;
}
