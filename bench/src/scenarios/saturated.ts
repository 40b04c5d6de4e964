import { peers } from "../servers/all.ts";
import { bare } from "../servers/bare.ts";
import { naive } from "../servers/naive.ts";
import { pusher, pusherFanwire, pusherFlush } from "../servers/pusher.ts";
import { fanOutScenario, pacedLoad } from "./fan-out-scenario.ts";

export const saturated = fanOutScenario({
  name: "saturated",
  summary: "1,000 clients × 200 publications/s: more than a core can send one by one",
  servers: [bare, naive, pusherFlush, pusher, pusherFanwire],
  peers,
  load: ({ size, clients, seconds }) =>
    size === "quick"
      ? pacedLoad(clients ?? 50, 200, seconds ?? 0.3, 0.2)
      : pacedLoad(clients ?? 1_000, 200, seconds ?? 5, 1),
});
