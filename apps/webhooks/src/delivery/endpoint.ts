import type { ClusterEvent } from "@fanwire/protocol";

/** Headers and body of one POST. */
export type WebhookRequest = {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
};

/** Where events are posted to, and in which form. */
export type Endpoint = {
  /** Shown in logs and metrics. */
  readonly label: string;
  /** Identifies its progress across restarts. Tokens of letters, digits, `-` and `_`. */
  readonly id: string;
  readonly url: URL;
  /** Maximum events of one POST. */
  readonly batch: number;
  /** Returns the event in the form of the endpoint, in JSON; undefined if the endpoint does not want it. */
  select(event: ClusterEvent): string | undefined;
  /** @param createdAt time at which the first of the entries became due, in milliseconds since 1970. */
  encode(entries: readonly string[], createdAt: number): WebhookRequest;
};
