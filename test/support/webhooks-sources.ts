/** The parts of the webhook sender that unite the reports of workers. */

// @boundaries-ignore A test compares the union with the truth about workers that it invents.
export { Union } from "../../apps/webhooks/src/cluster/union.ts";
// @boundaries-ignore see above
export { Workers } from "../../apps/webhooks/src/cluster/workers.ts";
