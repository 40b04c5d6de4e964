import { fanOutScenario } from "./fan-out-scenario.ts";

export const burst = fanOutScenario({
  name: "burst",
  summary: "1,000 clients, 10,000 publications at once: how well pending ones share a send",
  load: ({ size, clients }) => ({
    clients: clients ?? (size === "quick" ? 50 : 1_000),
    ratePerSecond: "burst",
    warmUp: size === "quick" ? 100 : 1_000,
    publications: size === "quick" ? 1_000 : 10_000,
    // Ten million deliveries: the client's own time would begin to count.
    latencyOfOneIn: 10,
  }),
});
