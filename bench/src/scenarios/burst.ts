import type { FanOutLoad } from "../fan-out.ts";
import { peers } from "../servers/all.ts";
import { limitJoined, limitJoinedFanwire } from "../servers/limit.ts";
import { pusher, pusherFanwire } from "../servers/pusher.ts";
import { fanOutScenario } from "./fan-out-scenario.ts";
import type { LoadSettings } from "./scenario.ts";

function load({ size, clients }: LoadSettings): FanOutLoad {
  return {
    clients: clients ?? (size === "quick" ? 50 : 1_000),
    ratePerSecond: "burst",
    warmUp: size === "quick" ? 100 : 1_000,
    publications: { quick: 1_000, default: 10_000, full: 20_000 }[size],
    // Ten million deliveries: the client's own time would begin to count.
    latencyOfOneIn: 10,
  };
}

export const burst = fanOutScenario({
  name: "burst",
  summary: "1,000 clients, 10,000 publications at once (--full 20,000): how well pending ones share a send",
  peers,
  load,
});

/** The first is the least that messages of this size can cost. */
export const burstFanwire = fanOutScenario({
  name: "burst-v1",
  summary: "the same through fanwire.v1, against one send for each connection and all that is pending",
  servers: [limitJoinedFanwire, limitJoined, pusher, pusherFanwire],
  load,
});
