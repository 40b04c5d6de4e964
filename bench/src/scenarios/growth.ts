import { bare } from "../servers/bare.ts";
import { pusher } from "../servers/pusher.ts";
import { fanOutScenario, pacedLoad } from "./fan-out-scenario.ts";
import type { Scenario } from "./scenario.ts";

const DELIVERIES_PER_SECOND = 50_000;

/** The same number of deliveries a second to ever more connections: a curve, one table for each point. */
export const growth: readonly Scenario[] = [100, 1_000, 10_000].map((size) =>
  fanOutScenario({
    name: `growth-${size}`,
    summary: `${DELIVERIES_PER_SECOND.toLocaleString("en")} deliveries/s to ${size.toLocaleString("en")} clients`,
    servers: [bare, pusher],
    load: ({ size: asked, seconds }) =>
      asked === "quick"
        ? pacedLoad(size / 20, 20, seconds ?? 1, 0.2)
        : pacedLoad(size, DELIVERIES_PER_SECOND / size, seconds ?? 5, 1),
  }),
);
