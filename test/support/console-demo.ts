import type { TestPublisher, TestPusher } from "./cluster.ts";
import { connectFanwire } from "./fanwire-client.ts";
import { postPublication } from "./http-api.ts";
import { signToken } from "./tokens.ts";

const USERS = ["anna", "bela", "chen", "dara", "emil", "fatima", "goran", "hana", "ines", "jonas", "kira", "liam"];
const CITIES = ["berlin", "lagos", "lima", "oslo", "pune", "quito"];
const TOPICS = [
  "news",
  "lobby",
  "prices.eur",
  "prices.usd",
  "chat.support",
  ...CITIES.map((city) => `weather.${city}`),
];
const CONNECTIONS = 48;

export type Demo = Disposable & {
  /** Address of the first connection. */
  readonly address: string;
  /** Publishes once to each topic, and to a user. */
  publish(): Promise<void>;
};

/** Connects clients with users and topics that people know, so that the console has something to show. */
export async function startDemo(pusher: TestPusher, publisher: TestPublisher): Promise<Demo> {
  const clients = await Promise.all(Array.from({ length: CONNECTIONS }, (_, at) => connectOne(pusher, at)));
  const [first] = clients;
  if (first === undefined) throw new Error("no client");
  const members = clients.slice(0, 8);
  await Promise.all(members.map((client) => client.ask({ command: "subscribe", topic: "lobby", presence: true })));
  let round = 0;
  return {
    address: first.welcome.connection,
    publish: async () => {
      round++;
      const publications = TOPICS.map((topic, at) => ({
        target: { topic },
        event: topic.split(".")[0],
        data: JSON.stringify({ value: 100 + ((round * 7 + at * 13) % 50), unit: "points" }),
        durable: at < 4,
      }));
      await postPublication(publisher, [...publications, { target: { user: "anna" }, data: "Your order was sent." }]);
    },
    [Symbol.dispose]: () => {
      for (const { socket } of clients) socket.terminate();
    },
  };
}

/** Each second topic has about half as many connections as the one before it. */
async function connectOne(pusher: TestPusher, at: number) {
  const user = USERS[at % USERS.length] ?? "anna";
  const topic = TOPICS.filter((_, rank) => at % (rank + 1) === 0);
  const token = await signToken({ sub: user, topics: [">"], presence: ["lobby"], info: { name: user } });
  return connectFanwire(pusher.url, { token, topic });
}
