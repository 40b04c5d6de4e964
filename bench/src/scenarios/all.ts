import { burst } from "./burst.ts";
import { channelCrowd } from "./channel-crowd.ts";
import { channelRoute } from "./channel-route.ts";
import type { Scenario } from "./scenario.ts";
import { steady } from "./steady.ts";
import { wide } from "./wide.ts";

export const scenarios: readonly Scenario[] = [steady, wide, burst, channelRoute, channelCrowd];
