import { grouped } from "../format.ts";
import { pusher } from "../servers/pusher.ts";
import { compareFanOuts, pacedLoad } from "./fan-out-scenario.ts";
import type { LoadSettings, Scenario } from "./scenario.ts";

const SIZES = [100, 1_000, 10_000] as const;

/** The same number of deliveries a second to ever more connections: what a delivery costs then is a curve. */
export const growth: Scenario = {
  name: "growth",
  summary: "50,000 deliveries/s to 100, 1,000 and 10,000 clients",
  connections: (settings) => Math.max(...sizes(settings)),
  run: (lab, settings) => {
    const isQuick = settings.size === "quick";
    const deliveriesPerSecond = isQuick ? 1_000 : 50_000;
    const seconds = settings.seconds ?? (isQuick ? 0.3 : 5);
    return compareFanOuts(lab, settings, {
      name: "growth",
      heading: `${grouped(deliveriesPerSecond)} deliveries/s for ${seconds} s`,
      contestants: sizes(settings).map((size) => ({
        name: `${grouped(size)} clients`,
        server: pusher,
        load: pacedLoad(size, deliveriesPerSecond / size, seconds, 1),
      })),
    });
  },
};

function sizes({ size }: LoadSettings): number[] {
  return SIZES.map((clients) => (size === "quick" ? clients / 50 : clients));
}
