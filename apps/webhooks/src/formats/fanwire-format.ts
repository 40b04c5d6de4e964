import { createHmac } from "node:crypto";
import type { ClusterEvent, EventName } from "@fanwire/protocol";
import type { Endpoint } from "../delivery/endpoint.ts";

export type FanwireEndpointConfig = {
  readonly url: string;
  readonly secret: string;
  readonly events: readonly EventName[];
  /** Only events of topics that begin with this; empty: all events. */
  readonly prefix: string;
  readonly batch: number;
};

/** Returns an endpoint that receives the events as they are, with a signature over time and body. */
export function fanwireEndpoint(config: FanwireEndpointConfig, label: string, id: string): Endpoint {
  const { url, secret, events, prefix, batch } = config;
  const wanted: ReadonlySet<EventName> = new Set(events);
  return {
    label,
    id,
    url: new URL(url),
    batch,
    select: (event) => (wanted.has(event.name) && hasPrefix(event, prefix) ? JSON.stringify(event) : undefined),
    encode: (entries) => {
      const body = `{"events":[${entries.join(",")}]}`;
      // The time of this attempt, so that a receiver can refuse a request that was recorded and repeated.
      const seconds = Math.floor(Date.now() / 1_000);
      const signature = createHmac("sha256", secret).update(`${seconds}.${body}`).digest("hex");
      const headers = { "Content-Type": "application/json", "Fanwire-Signature": `t=${seconds},v1=${signature}` };
      return { headers, body };
    },
  };
}

function hasPrefix({ topic }: ClusterEvent, prefix: string): boolean {
  return prefix === "" || topic?.startsWith(prefix) === true;
}
