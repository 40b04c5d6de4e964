import { Subjects } from "@fanwire/protocol";
import { decodeSequence } from "../content.ts";
import { grouped } from "../format.ts";
import type { Lab } from "../lab.ts";
import { publishPaced } from "../pacer.ts";
import { rawDoor, startPusher } from "../servers/pusher.ts";
import type { Server } from "../servers/server.ts";
import { compareFanOuts, pacedLoad } from "./fan-out-scenario.ts";
import type { LoadSettings, Scenario } from "./scenario.ts";

/** `topicsEach`: 0 is one topic for all. A publication of the load is one to a topic of each connection. */
type Spread = { name: string; clients: number; topicsEach: number };
const ONE_TOPIC = "all";

const subjects = new Subjects();

/** As many deliveries a second in each way: what differs is the number of topics they are for. */
export const topics: Scenario = {
  name: "topics",
  summary: "20,000 deliveries/s to 10,000 clients: one topic for all, one for each, ten for each",
  connections: clientsFor,
  run: async (lab, settings) => {
    const deliveriesPerSecond = settings.size === "quick" ? 1_000 : 20_000;
    const seconds = settings.seconds ?? (settings.size === "quick" ? 0.3 : 5);
    return compareFanOuts(lab, settings, {
      name: "topics",
      heading: `${grouped(deliveriesPerSecond)} deliveries/s for ${seconds} s`,
      contestants: spreads(clientsFor(settings)).map((spread) => ({
        name: spread.name,
        server: server(spread),
        load: pacedLoad(spread.clients, deliveriesPerSecond / spread.clients, seconds, 1),
      })),
    });
  },
};

function clientsFor({ size, clients }: LoadSettings): number {
  return clients ?? (size === "quick" ? 100 : 10_000);
}

function spreads(clients: number): Spread[] {
  return [0, 1, 10].map((topicsEach) => ({
    name: topicsEach === 0 ? "1 topic" : `${grouped(clients * topicsEach)} topics`,
    clients,
    topicsEach,
  }));
}

function server(spread: Spread): Server {
  const { topicsEach } = spread;
  const names = topicsEach === 0 ? [ONE_TOPIC] : Array.from({ length: topicsEach }, (_, at) => `{index}.${at}`);
  const path = `/?${names.map((name) => `topic=${name}`).join("&")}`;
  return {
    name: spread.name,
    summary: "",
    start: async (lab) => {
      const running = await startPusher(lab, { dialect: { ...rawDoor, path } });
      return { ...running, publish: publishTo(lab, spread) };
    },
  };
}

/** The topics of one connection take turns. */
function publishTo(lab: Lab, { clients, topicsEach }: Spread) {
  const targets = Array.from({ length: Math.max(1, topicsEach) }, (_, at) =>
    topicsEach === 0
      ? [liveTopic(ONE_TOPIC)]
      : Array.from({ length: clients }, (_, index) => liveTopic(`${index}.${at}`)),
  );
  return (plan: Parameters<typeof publishPaced>[0]) =>
    publishPaced(plan, (contents) => {
      for (const content of contents) {
        lab.publisher.publish(targets[decodeSequence(content, 0) % targets.length] ?? [], [content]);
      }
    });
}

function liveTopic(topic: string): string {
  return subjects.live({ kind: "topic", topic });
}
