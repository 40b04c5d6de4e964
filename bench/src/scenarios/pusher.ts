import { pusher, pusherApp, pusherFanwire } from "../servers/pusher.ts";
import { burstLoad } from "./burst.ts";
import { fanOutScenario, pacedLoad } from "./fan-out-scenario.ts";

/** The bar is 1.1 times fanwire.v1 for each delivery. */
export const pusherSteady = fanOutScenario({
  name: "pusher",
  summary: "1,000 clients × 50 publications/s through the Pusher protocol, against fanwire.v1",
  servers: [pusherFanwire, pusherApp, pusher],
  load: ({ size, clients, seconds }) =>
    size === "quick"
      ? pacedLoad(clients ?? 50, 50, seconds ?? 0.3, 0.2)
      : pacedLoad(clients ?? 1_000, 50, seconds ?? 5, 1),
});

/** The bar is 1.2 times raw for each delivery. */
export const pusherBurst = fanOutScenario({
  name: "burst-pusher",
  summary: "1,000 clients, 20,000 publications together through the Pusher protocol, against raw",
  servers: [pusher, pusherApp],
  load: burstLoad,
});
