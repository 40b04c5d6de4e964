import { peers } from "../servers/all.ts";
import { fanOutScenario, pacedLoad } from "./fan-out-scenario.ts";

export const wide = fanOutScenario({
  name: "wide",
  summary: "10,000 clients × 50 publications/s, which all but saturates a core",
  peers,
  load: ({ size, clients, seconds }) => {
    if (size === "quick") return pacedLoad(clients ?? 100, 10, seconds ?? 0.3, 0.2);
    return pacedLoad(clients ?? 10_000, 50, seconds ?? 5, 1);
  },
});
