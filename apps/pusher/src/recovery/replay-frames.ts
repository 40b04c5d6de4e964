import { isUtf8 } from "node:buffer";
import type { Encoding } from "../connections/client-protocol.ts";
import type { Connection } from "../connections/connection.ts";
import type { Counters } from "../connections/counters.ts";
import { exceptedId } from "../fanout/decoded-publication.ts";
import type { SharedSubscription } from "../hub/shared-subscription.ts";
import { toFrames } from "../wire/batched-frames.ts";
import { type Missed, sequenceOf } from "./missed-lists.ts";
import { type Copy, ReplayTexts, toPublication } from "./replay-texts.ts";

/**
 * Approximate characters of missed publications in one batch, so that little is encoded for a client that closes
 * meanwhile.
 */
const BATCH_LENGTH = 65_536;
/** Approximate characters of a publication's text beside its content. */
const ENVELOPE_LENGTH = 150;

export type Frame = { readonly content: Uint8Array; readonly isBinary: boolean };

/** Missed publications that are encoded in one tick: those from one index, and before another. */
export type Portion = { readonly from: number; readonly to: number };

type FramesRequest = {
  readonly connection: Connection;
  readonly missed: readonly Missed[];
  readonly kind: Copy["kind"];
  /** Whether the client is still subscribed. It may unsubscribe during its replay. */
  has(subscription: SharedSubscription): boolean;
};

/** The frames of one portion. */
type Encoded = {
  readonly frames: readonly Frame[];
  readonly deliveries: number;
  readonly deliveredBytes: number;
  /** Number of publications that the encoding cannot carry. */
  readonly uncarried: number;
};

/** Which clients receive a whole portion. */
type Receivers = {
  /** Subscriptions that they need. */
  readonly subscriptions: ReadonlySet<SharedSubscription>;
  /** Ids of the connections that must not receive one of the publications. */
  readonly excepted: ReadonlySet<number | undefined>;
};

/** The frames of clients that receive the same list in the same encoding. */
class SharedReplay {
  readonly encoding: Encoding;
  readonly kind: Copy["kind"];
  /** By the first index of their portions. */
  readonly encoded = new Map<number, Encoded>();
  readonly #receivers = new Map<number, Receivers>();
  readonly #portions: Portion[] = [];
  /** Portions that no client has needed yet. There may be thousands. */
  readonly #furtherPortions: Iterator<Portion>;

  constructor({ missed, kind }: FramesRequest, encoding: Encoding) {
    this.encoding = encoding;
    this.kind = kind;
    this.#furtherPortions = portionsOf(missed, encoding);
  }

  *portions(): Generator<Portion> {
    for (let at = 0; ; at++) {
      const portion = this.#portions[at] ?? this.#furtherPortions.next().value;
      if (portion === undefined) return;
      this.#portions[at] = portion;
      yield portion;
    }
  }

  /** Whether a client receives the whole portion. */
  isWholeFor({ connection, missed, has }: FramesRequest, portion: Portion, workerId: string): boolean {
    const receivers = this.#receivers.get(portion.from) ?? receiversOf(missed, portion, workerId);
    this.#receivers.set(portion.from, receivers);
    if (receivers.excepted.has(connection.getUserData().connectionId)) return false;
    for (const subscription of receivers.subscriptions) if (!has(subscription)) return false;
    return true;
  }
}

function receiversOf(missed: readonly Missed[], { from, to }: Portion, workerId: string): Receivers {
  const own = missed.slice(from, to);
  const excepted = new Set(own.map(({ received }) => exceptedId(received.message, workerId)));
  const subscriptions = new Set(own.map(({ subscription }) => subscription));
  // The text of a copy shows whether another one follows, perhaps in the next portion.
  const sequence = sequenceOf(own.at(-1)?.received);
  for (let at = to; sequence >= 0 && sequenceOf(missed[at]?.received) === sequence; at++) {
    subscriptions.add((missed[at] as Missed).subscription);
  }
  return { subscriptions, excepted };
}

/** Encodes replays for connections. */
export class ReplayFrames {
  readonly #counters: Counters;
  readonly #workerId: string;
  readonly #texts = new ReplayTexts();
  /** The frames of each list in the encoding used last. Clients that resume together mostly use the same encoding. */
  readonly #shared = new WeakMap<readonly Missed[], SharedReplay>();

  constructor({ counters, workerId }: { readonly counters: Counters; readonly workerId: string }) {
    this.#counters = counters;
    this.#workerId = workerId;
  }

  /** Returns whether the protocol of a connection has a frame for a publication. */
  canCarry(connection: Connection, { subscription, received }: Missed): boolean {
    const encoding = encodingFor(connection);
    if (encoding.frames === "batched") return true;
    return (
      encoding.encode(toPublication({ subscription, received, isLastCopy: true, kind: "connection" })) !== undefined
    );
  }

  /** Splits missed publications into portions. */
  portions(request: FramesRequest): Iterable<Portion> {
    return this.#sharedBy(request).portions();
  }

  /** Returns the frames of one portion, without publications of subscriptions that have ended. */
  encode(portion: Portion, request: FramesRequest, isShared: boolean): readonly Frame[] {
    const { frames, deliveries, deliveredBytes, uncarried } = this.#encoded(portion, request, isShared);
    this.#counters.deliveries += deliveries;
    this.#counters.deliveredBytes += deliveredBytes;
    this.#counters.uncarried += uncarried;
    return frames;
  }

  #encoded(portion: Portion, request: FramesRequest, isShared: boolean): Encoded {
    if (!isShared) return this.#encode(portion, request, false);
    const shared = this.#sharedBy(request);
    if (!shared.isWholeFor(request, portion, this.#workerId)) return this.#encode(portion, request, true);
    const known = shared.encoded.get(portion.from);
    if (known) return known;
    const encoded = this.#encode(portion, request, true);
    shared.encoded.set(portion.from, encoded);
    return encoded;
  }

  #sharedBy(request: FramesRequest): SharedReplay {
    const encoding = encodingFor(request.connection);
    const known = this.#shared.get(request.missed);
    if (known?.encoding === encoding && known.kind === request.kind) return known;
    const shared = new SharedReplay(request, encoding);
    this.#shared.set(request.missed, shared);
    return shared;
  }

  #encode({ from, to }: Portion, { connection, missed, kind, has }: FramesRequest, isShared: boolean): Encoded {
    const { connectionId } = connection.getUserData();
    const encoding = encodingFor(connection);
    const frames: Frame[] = [];
    const texts: string[] = [];
    const counts = { deliveries: 0, deliveredBytes: 0, uncarried: 0 };
    for (const [index, { subscription, received }] of missed.slice(from, to).entries()) {
      if (!has(subscription) || exceptedId(received.message, this.#workerId) === connectionId) continue;
      const copy = { subscription, received, isLastCopy: !hasLaterCopy(missed, from + index, has), kind };
      if (encoding.frames === "batched") {
        texts.push(isShared ? this.#texts.of(encoding, copy) : encoding.encode(toPublication(copy)));
      } else {
        const content = encoding.encode(toPublication(copy));
        if (content === undefined) {
          counts.uncarried++;
          continue;
        }
        frames.push({ content, isBinary: !isUtf8(content) });
      }
      counts.deliveries++;
      counts.deliveredBytes += received.message.data.length;
    }
    if (encoding.frames === "single") return { frames, ...counts };
    const batches = toFrames(texts, encoding.batching).map((content) => ({ content, isBinary: false }));
    return { frames: batches, ...counts };
  }
}

function encodingFor(connection: Connection): Encoding {
  const state = connection.getUserData();
  return state.protocol.encodingOf(state);
}

function* portionsOf(missed: readonly Missed[], { frames }: Encoding): Generator<Portion> {
  let from = 0;
  let length = 0;
  for (const [at, { received }] of missed.entries()) {
    length += received.message.data.length + ENVELOPE_LENGTH;
    if (frames === "batched" && length < BATCH_LENGTH) continue;
    yield { from, to: at + 1 };
    from = at + 1;
    length = 0;
  }
  if (from < missed.length) yield { from, to: missed.length };
}

/** Whether the client receives another copy of a stored publication after this one. */
function hasLaterCopy(missed: readonly Missed[], at: number, has: FramesRequest["has"]): boolean {
  const sequence = sequenceOf(missed[at]?.received);
  if (sequence < 0) return false;
  for (let next = at + 1; ; next++) {
    const other = missed[next];
    if (other === undefined || sequenceOf(other.received) !== sequence) return false;
    if (has(other.subscription)) return true;
  }
}
