import { setTimeout as delay } from "node:timers/promises";
import type { Journal, JournalEntry } from "@fanwire/bus";

const RENEW_MS = 1_000;
/** A leader that could not renew its lease for this time stops. */
const VALID_MS = 3_000;
/** A lease that was not renewed for this time, by the clock of the waiting sender, is taken over. */
const TAKEN_OVER_MS = 4_500;

type LeaseRecord = { readonly holder: string | null };

/** The right of one webhook sender to announce and deliver events. JetStream decides who gets it. */
export type Lease = {
  /** Whether no other sender can have taken over. Must be checked before each act of a leader. */
  isValid(): boolean;
  /** Resolves when the lease is lost. */
  readonly lost: Promise<void>;
  /** Gives the lease back, so that another sender takes over at once. */
  release(): Promise<void>;
  /** Stops renewing. */
  abandon(): void;
};

type LeaseParts = { readonly journal: Journal; readonly subject: string; readonly holder: string };

/**
 * Waits until no other sender holds the lease, and takes it.
 *
 * @param onOther called whenever another sender was seen to renew it.
 * @throws when `signal` ends the wait.
 */
export async function takeLease(parts: LeaseParts, signal: AbortSignal, onOther: () => void): Promise<Lease> {
  const { journal, subject, holder } = parts;
  let seen = -1;
  let seenAt = 0;
  for (;;) {
    signal.throwIfAborted();
    const entry = await journal.last(subject).catch(() => null);
    const sequence = entry?.sequence ?? 0;
    if (entry !== null) {
      if (sequence !== seen) [seen, seenAt] = [sequence, performance.now()];
      const isFree = entry === undefined || holderOf(entry) === null;
      if (isFree || performance.now() - seenAt > TAKEN_OVER_MS) {
        const askedAt = performance.now();
        const taken = await journal.replace(subject, JSON.stringify({ holder }), sequence).catch(() => undefined);
        if (taken !== undefined) return holdLease(parts, taken, askedAt);
      } else onOther();
    }
    await delay(RENEW_MS / 2, undefined, { signal });
  }
}

function holdLease({ journal, subject, holder }: LeaseParts, taken: number, askedAt: number): Lease {
  let sequence = taken;
  let renewedAt = askedAt;
  let isHeld = true;
  let onLost = () => {};
  const lost = new Promise<void>((resolve) => {
    onLost = resolve;
  });
  const end = () => {
    isHeld = false;
    clearInterval(timer);
    onLost();
  };
  const isValid = () => isHeld && performance.now() - renewedAt < VALID_MS;
  let renewing: Promise<void> = Promise.resolve();
  const renew = async (record: LeaseRecord) => {
    const sentAt = performance.now();
    try {
      sequence = await journal.replace(subject, JSON.stringify(record), sequence);
      renewedAt = sentAt;
    } catch {
      // An unconfirmed renewal may be stored, and then this sender is still the holder.
      const entry = await journal.last(subject).catch(() => undefined);
      if (entry && holderOf(entry) === holder) sequence = entry.sequence;
    }
  };
  let isRenewing = false;
  const timer = setInterval(() => {
    if (!isValid()) end();
    else if (!isRenewing) {
      isRenewing = true;
      renewing = renew({ holder }).finally(() => {
        isRenewing = false;
      });
    }
  }, RENEW_MS);
  return {
    isValid,
    lost,
    release: async () => {
      clearInterval(timer);
      await renewing;
      if (isValid()) await renew({ holder: null });
      end();
    },
    abandon: end,
  };
}

/** Returns null when the lease was given back, or cannot be read. */
function holderOf({ content }: JournalEntry): string | null {
  try {
    const record = JSON.parse(Buffer.from(content).toString()) as LeaseRecord; // written by a sender
    return record.holder;
  } catch {
    return null;
  }
}
