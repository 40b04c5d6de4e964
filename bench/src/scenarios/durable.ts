import { pusher, pusherDurable, pusherFanwire, pusherFanwireDurable } from "../servers/pusher.ts";
import { fanOutScenario, pacedLoad } from "./fan-out-scenario.ts";
import type { LoadSettings } from "./scenario.ts";

function load({ size, clients, seconds }: LoadSettings) {
  return size === "quick"
    ? pacedLoad(clients ?? 50, 50, seconds ?? 0.3, 0.2)
    : pacedLoad(clients ?? 1_000, 50, seconds ?? 5, 1);
}

export const durable = fanOutScenario({
  name: "durable",
  summary: "1,000 clients × 50 durable publications/s against live ones, raw protocol",
  servers: [pusher, pusherDurable],
  load,
});

export const durableFanwire = fanOutScenario({
  name: "durable-v1",
  summary: "the same through fanwire.v1, where each carries its position",
  servers: [pusherFanwire, pusherFanwireDurable],
  load,
});
