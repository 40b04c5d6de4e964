import { burst, burstFanwire } from "./burst.ts";
import { channelCrowd } from "./channel-crowd.ts";
import { channelRoute } from "./channel-route.ts";
import { saturated } from "./saturated.ts";
import type { Scenario } from "./scenario.ts";
import { steady } from "./steady.ts";
import { wide } from "./wide.ts";

export const scenarios: readonly Scenario[] = [
  steady,
  saturated,
  wide,
  burst,
  burstFanwire,
  channelRoute,
  channelCrowd,
];
