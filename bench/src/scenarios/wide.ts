import { peers } from "../servers/all.ts";
import { fanOutScenario, pacedLoad } from "./fan-out-scenario.ts";

export const wide = fanOutScenario({
  name: "wide",
  summary: "5,000 clients × 10 publications/s; with --full 10,000 × 50, which saturates a core",
  peers,
  load: ({ size, clients, seconds }) => {
    if (size === "quick") return pacedLoad(clients ?? 100, 10, seconds ?? 0.3, 0.2);
    if (size === "full") return pacedLoad(clients ?? 10_000, 50, seconds ?? 10, 2);
    return pacedLoad(clients ?? 5_000, 10, seconds ?? 5, 1);
  },
});
