import { grouped } from "../format.ts";
import type { Lab } from "../lab.ts";
import type { RunningServer } from "../servers/server.ts";
import { type Spread, startBareTopics, startNaiveTopics, startPusherWithTopics } from "../servers/topics.ts";
import { compareFanOuts, type FanOutContestant, pacedLoad } from "./fan-out-scenario.ts";
import type { LoadSettings, Scenario } from "./scenario.ts";

type Start = (lab: Lab, spread: Spread) => Promise<RunningServer>;

/** One topic for all, one for each, ten for each, and the baseline of the first two. */
const contestants: readonly { readonly name: string; readonly start: Start; readonly topicsEach: readonly number[] }[] =
  [
    { name: "pusher", start: startPusherWithTopics, topicsEach: [0, 1, 10] },
    { name: "bare", start: startBareTopics, topicsEach: [0, 1] },
    { name: "naive", start: startNaiveTopics, topicsEach: [1] },
  ];

/** As many deliveries a second in each way: what differs is the number of topics they are for. */
export const topics: Scenario = {
  name: "topics",
  summary: "20,000 deliveries/s to 10,000 clients: one topic for all, one for each, ten for each",
  connections: clientsFor,
  run: async (lab, settings) => {
    const deliveriesPerSecond = settings.size === "quick" ? 1_000 : 20_000;
    const seconds = settings.seconds ?? (settings.size === "quick" ? 0.3 : 5);
    const clients = clientsFor(settings);
    return compareFanOuts(lab, settings, {
      name: "topics",
      heading: `${grouped(deliveriesPerSecond)} deliveries/s for ${seconds} s`,
      contestants: contestants.flatMap(({ name, start, topicsEach }) =>
        topicsEach.map((each) => contestant(name, start, { clients, topicsEach: each })),
      ),
    });

    function contestant(server: string, start: Start, spread: Spread): FanOutContestant {
      const name = `${server}, ${spread.topicsEach === 0 ? "1 topic" : `${grouped(clients * spread.topicsEach)} topics`}`;
      return {
        name,
        server: { name, summary: "", start: (to) => start(to, spread) },
        load: pacedLoad(clients, deliveriesPerSecond / clients, seconds, 1),
      };
    }
  },
};

function clientsFor({ size, clients }: LoadSettings): number {
  return clients ?? (size === "quick" ? 100 : 10_000);
}
