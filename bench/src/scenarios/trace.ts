import { pusher } from "../servers/pusher.ts";
import { pusherTraced } from "../servers/traced.ts";
import { fanOutScenario, pacedLoad } from "./fan-out-scenario.ts";

export const trace = fanOutScenario({
  name: "trace",
  summary: "1,000 clients × 50 publications/s, with and without an open trace: CPU of the worker for each delivery",
  servers: [pusher, pusherTraced],
  load: ({ size, clients, seconds }) =>
    size === "quick"
      ? pacedLoad(clients ?? 50, 50, seconds ?? 0.3, 0.2)
      : pacedLoad(clients ?? 1_000, 50, seconds ?? 5, 1),
});
