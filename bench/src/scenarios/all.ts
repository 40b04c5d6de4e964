import { burst, burstFanwire, burstSse } from "./burst.ts";
import { channelCrowd } from "./channel-crowd.ts";
import { channelRoute } from "./channel-route.ts";
import { consoleScenario } from "./console.ts";
import { durable, durableFanwire } from "./durable.ts";
import { frontier } from "./frontier.ts";
import { growth } from "./growth.ts";
import { interest } from "./interest.ts";
import { isolation } from "./isolation.ts";
import { opening } from "./opening.ts";
import { presence } from "./presence.ts";
import { publishApi } from "./publish-api.ts";
import { pusherBurst, pusherSteady } from "./pusher.ts";
import { pusherIdle } from "./pusher-idle.ts";
import { saturated } from "./saturated.ts";
import type { Scenario } from "./scenario.ts";
import { sse } from "./sse.ts";
import { stampede } from "./stampede.ts";
import { steady } from "./steady.ts";
import { targeted } from "./targeted.ts";
import { topics } from "./topics.ts";
import { trace } from "./trace.ts";
import { wide } from "./wide.ts";

export const scenarios: readonly Scenario[] = [
  steady,
  saturated,
  wide,
  burst,
  burstFanwire,
  burstSse,
  pusherSteady,
  pusherBurst,
  pusherIdle,
  growth,
  topics,
  durable,
  durableFanwire,
  frontier,
  isolation,
  sse,
  opening,
  targeted,
  stampede,
  presence,
  trace,
  publishApi,
  consoleScenario,
  interest,
  channelRoute,
  channelCrowd,
];
