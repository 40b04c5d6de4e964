import { type ClientOptions, connect, type Presence, type Publication } from "@fanwire/client";
import { afterEach, expect, test } from "vitest";
import { WebSocket } from "ws";
import { publishToTopic } from "../support/bus.ts";
import { startPusher } from "../support/cluster.ts";
import { SECRET, signToken } from "../support/tokens.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const env = { PUSHER_TOKEN_SECRET: SECRET, PUSHER_PRESENCE_LEAVE_SECONDS: "1" };
const {
  nats,
  bus,
  pushers: [one, two],
} = useCluster({ pusher: env });

const clients: { close(): void }[] = [];
afterEach(() => {
  for (const client of clients.splice(0)) client.close();
});

function start(user: string, options: Partial<ClientOptions> = {}) {
  const publications: Publication[] = [];
  const client = connect({
    url: one.url,
    WebSocket,
    token: () => signToken({ sub: user, topics: [">"], presence: [">"], info: { name: user } }),
    onPublication: (publication) => publications.push(publication),
    ...options,
  });
  clients.push(client);
  return { client, data: () => publications.map(({ data }) => data) };
}

/** Records the users who join and leave. */
function record(presence: Presence): string[] {
  const changes: string[] = [];
  presence.on("change", ({ joined, left }) => {
    changes.push(...joined.map(({ user }) => `+${user}`), ...left.map((user) => `-${user}`));
  });
  return changes;
}

const usersOf = ({ members }: Presence) => [...members.keys()].sort();

test("clients on two pushers see each other, with info, and each change once", async () => {
  const anna = start("anna").client.presence("lobby");
  await anna.subscribed;
  const changes = record(anna);
  const bob = start("bob", { url: two.url }).client.presence("lobby");
  await bob.subscribed;

  expect([...bob.members].sort()).toEqual([
    ["anna", { name: "anna" }],
    ["bob", { name: "bob" }],
  ]);
  await until("anna sees bob", () => anna.count === 2);
  await bob.leave();
  await until("bob has left", () => anna.count === 1);

  expect(changes).toEqual(["+bob", "-bob"]);
  expect(usersOf(anna)).toEqual(["anna"]);
});

test("a client that left its members keeps the topic that it had subscribed to, in both orders", async () => {
  const witness = start("witness", { url: two.url }).client.presence("room");
  await witness.subscribed;
  const { client, data } = start("anna");
  await client.subscribe("room");
  const first = client.presence("room");
  await first.subscribed;
  await first.leave();
  await until("anna has left", () => witness.count === 1);
  await publishToTopic(bus, "room", "1");

  const second = client.presence("room");
  await second.subscribed;
  await client.unsubscribe("room");
  await publishToTopic(bus, "room", "2");
  await until("both publications", () => data().length === 2);
  await until("anna is back", () => witness.count === 2);
  expect(usersOf(second)).toEqual(["anna", "witness"]);

  await second.leave();
  await until("anna has left again", () => witness.count === 1);
  await publishToTopic(bus, "room", "3");
  await client.subscribe("other");
  expect(data()).toEqual(["1", "2"]);
});

test("after a reconnect a client has the new list, and reports the difference alone", async () => {
  const sockets: WebSocket[] = [];
  class RecordedWebSocket extends WebSocket {
    constructor(url: string, protocols: string | string[]) {
      super(url, protocols);
      sockets.push(this);
    }
  }
  // The reconnect may take seconds on a busy machine. Each worker holds leaves for its own clients.
  const patient = { nats: nats.url, env: { ...env, PUSHER_PRESENCE_LEAVE_SECONDS: "60" } };
  await using near = await startPusher(patient);
  await using far = await startPusher(patient);
  const anna = start("anna", { url: near.url, WebSocket: RecordedWebSocket });
  const presence = anna.client.presence("reload");
  await presence.subscribed;
  const bob = start("bob", { url: far.url }).client.presence("reload");
  await bob.subscribed;
  await until("anna sees bob", () => presence.count === 2);
  const changes = record(presence);
  const others = record(bob);

  const { address } = anna.client;
  sockets.at(0)?.terminate();
  await until("anna has reconnected", () => anna.client.address !== address && anna.client.address !== undefined);
  await until("the list is current", () => presence.isCurrent);

  expect(usersOf(presence)).toEqual(["anna", "bob"]);
  expect(changes).toEqual([]);
  expect(others).toEqual([]);
});
