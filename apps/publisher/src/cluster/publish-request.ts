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

/**
 * Consecutive requests of one kind. `plain`: one live publication each, which NATS alone confirms. `durable`: stored in the
 * history. `asked`: workers report the outcome.
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
