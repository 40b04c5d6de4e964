import type { FanOutLoad } from "../fan-out.ts";
import { peers } from "../servers/all.ts";
import { bareSse } from "../servers/bare.ts";
import { limitBatched, limitBatchedFanwire, limitPatientFanwire } from "../servers/limit.ts";
import { pusher, pusherFanwire, pusherSse } from "../servers/pusher.ts";
import { fanOutScenario } from "./fan-out-scenario.ts";
import type { LoadSettings } from "./scenario.ts";

export function burstLoad({ size, clients, publications }: LoadSettings): FanOutLoad {
  return {
    clients: clients ?? (size === "quick" ? 50 : 1_000),
    ratePerSecond: "burst",
    warmUp: size === "quick" ? 100 : 1_000,
    publications: publications ?? (size === "quick" ? 1_000 : 20_000),
    // Twenty million deliveries: the client's own time would begin to count.
    latencyOfOneIn: 10,
  };
}

export const burst = fanOutScenario({
  name: "burst",
  summary: "1,000 clients, 20,000 publications together: how well pending ones share a send",
  peers,
  load: burstLoad,
});

/**
 * The first is the least that messages of this size can cost a server that does not wait for one reader while others
 * have room.
 */
export const burstFanwire = fanOutScenario({
  name: "burst-v1",
  summary: "the same through fanwire.v1, against a server in C that sends each connection all that it takes",
  servers: [limitPatientFanwire, limitBatchedFanwire, limitBatched, pusher, pusherFanwire],
  load: burstLoad,
});

export const burstSse = fanOutScenario({
  name: "burst-sse",
  summary: "1,000 event streams, 1,000 publications together, against the library's own responses",
  servers: [bareSse, pusherSse],
  // The library writes each by itself.
  load: (settings) => burstLoad({ ...settings, publications: settings.publications ?? 1_000 }),
});
