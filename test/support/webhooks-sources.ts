/** Parts of the webhook sender that tests use without a process. */

// @boundaries-ignore Tests compare the union with workers that they invent, and move the clock of a sender.
export { Union } from "../../apps/webhooks/src/cluster/union.ts";
// @boundaries-ignore see above
export { Workers } from "../../apps/webhooks/src/cluster/workers.ts";
// @boundaries-ignore see above
export { readConfig as readWebhooksConfig } from "../../apps/webhooks/src/config.ts";
// @boundaries-ignore see above
export { newCounters } from "../../apps/webhooks/src/counters.ts";
// @boundaries-ignore see above
export { EndpointSenders } from "../../apps/webhooks/src/leader/endpoint-senders.ts";
// @boundaries-ignore see above
export { EventLog } from "../../apps/webhooks/src/leader/event-log.ts";
// @boundaries-ignore see above
export { Leader } from "../../apps/webhooks/src/leader/leader.ts";
// @boundaries-ignore see above
export { Records } from "../../apps/webhooks/src/leader/records.ts";
