import type { Publication } from "@fanwire/protocol";

/** One parsed request. */
export type PublishRequest = {
  /** Several for several topics, one for each. Otherwise one. */
  readonly publications: readonly Publication[];
  /** Whether the publications are stored in the history, which republishes them. */
  readonly isDurable: boolean;
  /** Whether the caller waits for the number of deliveries. */
  readonly wantsReceipt: boolean;
};

/** Approximate bytes of a publication beside its content: headers, subject and bookkeeping. */
const OVERHEAD_BYTES = 512;
/** Publications that are handed to NATS in one tick. Only the topics of one request may exceed it. */
const MAX_PER_TICK = 500;

/** Returns the bytes of the publications of a content to all targets but the first, which the request's body covers. */
export function copiedBytes(content: Uint8Array, targets: number): number {
  return (targets - 1) * (content.length + OVERHEAD_BYTES);
}

/** Divides a batch into portions, one for each tick. Their order is that of the batch. */
export function portionsOf(requests: readonly PublishRequest[]): PublishRequest[][] {
  const portions: PublishRequest[][] = [];
  let room = 0;
  for (const request of requests) {
    if (room <= 0) {
      portions.push([]);
      room = MAX_PER_TICK;
    }
    portions.at(-1)?.push(request);
    room -= request.publications.length;
  }
  return portions;
}

/**
 * Consecutive requests of one kind. `plain`: one live publication each, which NATS alone confirms. `durable`: stored in
 * the history. `asked`: workers report the outcome.
 */
export type Run = { readonly kind: "plain" | "asked" | "durable"; readonly requests: PublishRequest[] };

/** Divides a batch into runs. Their order is that of the batch. */
export function runsOf(requests: readonly PublishRequest[]): Run[] {
  const runs: Run[] = [];
  for (const request of requests) {
    const last = runs.at(-1);
    const kind = kindOf(request);
    if (last?.kind === kind) last.requests.push(request);
    else runs.push({ kind, requests: [request] });
  }
  return runs;
}

function kindOf({ publications, isDurable, wantsReceipt }: PublishRequest): Run["kind"] {
  if (isDurable) return "durable";
  const isPlain = !wantsReceipt && publications.length === 1 && publications[0]?.target.kind !== "connection";
  return isPlain ? "plain" : "asked";
}
