import { bareSse } from "../servers/bare.ts";
import { pusher, pusherSse } from "../servers/pusher.ts";
import { fanOutScenario, pacedLoad } from "./fan-out-scenario.ts";

export const sse = fanOutScenario({
  name: "sse",
  summary: "1,000 event streams × 50 publications/s, against the library's own responses",
  servers: [bareSse, pusher, pusherSse],
  load: ({ size, clients, seconds }) =>
    size === "quick"
      ? pacedLoad(clients ?? 50, 50, seconds ?? 0.3, 0.2)
      : pacedLoad(clients ?? 1_000, 50, seconds ?? 5, 1),
});
