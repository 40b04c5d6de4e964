import { metric, type TestChannel } from "../support/cluster.ts";
import { until } from "../support/wait.ts";

type Labels = Record<string, string>;

/** Waits until a metric of a channel server has this value. */
export function untilMetric(what: string, { adminUrl }: TestChannel, name: string, value: number, labels?: Labels) {
  return until(what, async () => (await metric(adminUrl, name, labels)) === value);
}

/** Returns how many peers a channel server has closed for a reason. */
export function closedPeers({ adminUrl }: TestChannel, reason: string): Promise<number> {
  return metric(adminUrl, "fanwire_channel_peers_closed_total", { reason });
}
