import { peers } from "../servers/all.ts";
import { fanOutScenario, pacedLoad } from "./fan-out-scenario.ts";

export const steady = fanOutScenario({
  name: "steady",
  summary: "1,000 clients × 50 publications/s: one send for each delivery, far from saturation",
  peers,
  load: ({ size, clients, seconds }) =>
    size === "quick"
      ? pacedLoad(clients ?? 50, 50, seconds ?? 0.3, 0.2)
      : pacedLoad(clients ?? 1_000, 50, seconds ?? 5, 1),
});
