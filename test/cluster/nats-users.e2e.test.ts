import { connect } from "node:net";
import { text } from "node:stream/consumers";
import type { NatsBus } from "@fanwire/bus";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ChannelPeer, connectPeer } from "../support/channel-peer.ts";
import { metric, startWebhooks, type TestWebhooks } from "../support/cluster.ts";
import { connectFanwire } from "../support/fanwire-client.ts";
import { callApi } from "../support/http-api.ts";
import type { TestNats } from "../support/nats.ts";
import { connectAs, type NatsUser, natsUser, startNatsWithUsers } from "../support/nats-users.ts";
import { reply } from "../support/php-value.ts";
import { connectPresence } from "../support/presence-client.ts";
import { demoApp, pusherAppsEnv } from "../support/pusher-apps.ts";
import { connectPusher } from "../support/pusher-client.ts";
import { connectRawClient } from "../support/raw-client.ts";
import { SECRET, signToken } from "../support/tokens.ts";
import { openTrace } from "../support/trace.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";
import { startWebhookReceiver } from "../support/webhook-receiver.ts";

const FANWIRE_EVENTS = "topic_occupied,topic_vacated";
const receiver = await startWebhookReceiver();
const endpoint = { url: receiver.url, secret: "endpoint-secret-0001" };

// A tour of all functions, because NATS permissions must allow each of them.
describe("a cluster whose services have the NATS users of the compose file", () => {
  const { nats, pusher, publisher, channels } = useCluster({
    nats: startNatsWithUsers,
    pusher: {
      ...natsUser("pusher"),
      ...pusherAppsEnv({ ...demoApp, clientEvents: true, subscriptionCount: true, watchlist: true }),
      PUSHER_TOKEN_SECRET: SECRET,
      FANWIRE_EVENTS,
    },
    publisher: natsUser("publisher"),
    channel: natsUser("channel"),
  });
  let peers: [ChannelPeer, ChannelPeer];
  let webhooks: TestWebhooks;

  beforeAll(async () => {
    const env = { ...natsUser("webhooks"), FANWIRE_EVENTS, WEBHOOKS_ENDPOINTS: JSON.stringify([endpoint]) };
    webhooks = await startWebhooks({ nats: nats.url, env });
    peers = [await connectPeer(channels[0]), await connectPeer(channels[1])];
  });
  // NATS must have permitted all that the services sent, also while they stopped.
  afterAll(async () => {
    const codes = await Promise.all([publisher, webhooks, pusher, ...channels].map(({ process }) => process.stop()));
    expect(codes).toEqual([0, 0, 0, 0, 0]);
    await receiver[Symbol.asyncDispose]();
    expect(nats.output()).not.toMatch(/violation/i);
  });

  test("Pusher clients subscribe, send client events, and learn how many they are", async () => {
    const [one, two] = [await connectPusher(pusher.url), await connectPusher(pusher.url)];
    for (const client of [one, two]) {
      for (const channel of ["private-a", "cache-a"]) await client.subscribe(channel);
      await client.subscribe("presence-a", { user_id: client.socketId });
    }

    one.send({ event: "client-a", channel: "private-a", data: "hello" });

    expect(await two.next("client-a")).toMatchObject({ data: "hello" });
    const isTwo = (frame: { data?: unknown }) => frame.data === '{"subscription_count":2}';
    await until("both are counted", () => [one, two].every(({ frames }) => frames.some(isTwo)));
  });

  test("publications reach everyone, topics, users and connections, and a client publishes", async () => {
    const client = await connectFanwire(pusher.url, { token: await tokenOf("anna"), topic: "news.*" });
    const received = async (data: string) => {
      await until(`${data} arrives`, () => client.data().includes(data));
    };

    for (const target of [
      { everyone: true },
      { topic: "news.a" },
      { user: "anna" },
      { connection: client.welcome.connection },
    ]) {
      const data = JSON.stringify(target);
      expect(await post({ target, data })).toMatchObject([200, {}]);
      await received(data);
    }
    expect(await client.ask({ command: "publish", topic: "news.b", data: "own" })).toMatchObject({ ok: true });
    await received("own");
  });

  test("members of topics are known on every worker", async () => {
    const clients = await Promise.all(["anna", "bob", "carl"].map((user) => connectPresence(pusher, user)));

    for (const client of clients) expect(await client.join("private-room")).toMatchObject({ ok: true });

    for (const client of clients) {
      await until("all are seen", () => client.members("private-room").join() === "anna,bob,carl");
      client.close();
    }
  });

  test("receipts count the connections of every worker", async () => {
    await connectFanwire(pusher.url, { token: await tokenOf("anna"), topic: "counted" });

    for (const durable of [false, true]) {
      const receipt = { delivered: 1, workers: 2, missing: 0, complete: true };
      const answer = await post({ target: { topic: "counted" }, data: "x", durable, receipt: true });
      expect(answer).toMatchObject([200, { receipt }]);
    }
  });

  test("durable publications are stored, read, and recovered by a resume", async () => {
    const numbers = Array.from({ length: 20 }, (_, at) => String(at));
    const first = await post({ target: { topic: "kept" }, data: "first", durable: true });
    expect(first).toMatchObject([200, { position: expect.any(String) }]);
    const since = (first[1] as { position: string }).position; // as the line above has seen
    for (const data of numbers) await post({ target: { topic: "kept" }, data, durable: true });

    const client = await connectFanwire(pusher.url, { token: await tokenOf("anna"), topic: "kept", since });
    expect(client.welcome.recovered).toBe(true);
    await until("all publications arrive", () => client.publications.length === numbers.length);
    expect(client.data()).toEqual(numbers);
    const [status, history] = await call("GET", "/v1/topics/kept/publications");
    expect(status).toBe(200);
    expect(history).toMatchObject({ publications: { length: numbers.length + 1 } });
  });

  test("the API finds, subscribes and closes connections and users", async () => {
    const client = await connectFanwire(pusher.url, { token: await tokenOf("bob") });
    const address = client.welcome.connection;

    expect((await call("GET", "/v1/cluster"))[1]).toMatchObject({
      workers: { length: 2 },
      services: ["channel", "channel", "publisher", "webhooks"].map((kind) => ({ kind })),
      nats: [{ connectedFrom: 6 }],
      history: { messages: expect.any(Number) },
    });
    expect(await call("GET", `/v1/connections/${address}`)).toMatchObject([200, { user: "bob" }]);
    expect((await call("PUT", `/v1/connections/${address}/topics/t`))[0]).toBe(204);
    expect(await call("GET", "/v1/topics/t")).toMatchObject([200, { connections: 1 }]);
    expect(await call("GET", "/v1/users/bob")).toMatchObject([200, { connections: { length: 1 } }]);
    expect((await call("DELETE", `/v1/connections/${address}`))[0]).toBe(204);
    await until("the connection is closed", () => client.close?.code === 4403);
  });

  test("a trace shows publications and what happens on the workers", async () => {
    const trace = await openTrace(publisher.url, { topic: "private-traced" });
    const token = await signToken({ topics: ["private-traced"] });

    await connectFanwire(pusher.url, { token, topic: "private-traced" });
    await post({ target: { topic: "private-traced" }, data: "x", durable: true });

    await until("both are shown", () => trace.of("subscription").length === 1 && trace.of("publication").length === 1);
    expect(trace.of("publication")).toMatchObject([{ data: "x", position: expect.any(String) }]);
  });

  test("Workerman peers of two channel servers share events, loops and queues", async () => {
    const [one, other] = peers;
    other.subscribe("event");
    await other.settle();
    one.publish(["event"], 1);
    await until("the event", () => other.payloads.includes(reply("event", "event", 1)));
    one.publishLoop(["event"], 2);
    await until("the loop's event", () => other.payloads.includes(reply("event", "event", 2)));

    other.watch("queue");
    other.reserve();
    one.enqueue(["queue"], 3);
    await until("the item", () => other.payloads.includes(reply("queue", "queue", 3)));
    const delivered = () => metric(channels[1].adminUrl, "fanwire_channel_queue_items_total", { outcome: "delivered" });
    await until("the item is acknowledged", async () => (await delivered()) === 1);
  });

  test("the bridge delivers in both directions", async () => {
    const [php, publishing] = peers;
    const browser = await connectRawClient(pusher.url);
    php.subscribe("0", "broadcast");
    await php.settle();

    publishing.publish(["broadcast"], { content: "to all" });
    publishing.publish([browser.workerId], { to_connection_id: browser.connectionId, content: "to one" });
    await until("the browser receives both", () => browser.frames.length === 2);
    expect([...browser.frames].sort()).toEqual(["to all", "to one"]);
    expect((await post({ target: { everyone: true }, data: "to peers" }))[0]).toBe(200);
    expect(await post({ target: { connection: "0.7" }, data: "x" })).toEqual([200, { status: "forwarded" }]);
    await until("the peer receives both", () =>
      [
        reply("event", "broadcast", { content: "to peers" }),
        reply("event", "0", { to_connection_id: "7", content: "x" }),
      ].every((payload) => php.payloads.includes(payload)),
    );
  });

  test("a webhook sender announces and posts what happens on the workers", async () => {
    const client = await connectFanwire(pusher.url, { token: await tokenOf("carl"), topic: "hooked" });
    const names = () => receiver.events().flatMap(({ name, topic }) => (topic === "hooked" ? name : []));
    await until("the event is posted", () => names().length === 1);
    client.socket.close();
    await until("its end is posted", () => names().length === 2);
    expect(names()).toEqual(["topic_occupied", "topic_vacated"]);
  });

  async function call(method: string, path: string, publication?: unknown): Promise<[number, unknown]> {
    const { status, body } = await callApi(publisher, method, path, publication);
    return [status, body];
  }
  const post = (publication: unknown) => call("POST", "/v1/publications", publication);
});

describe("NATS refuses each user all other subjects", () => {
  let nats: TestNats;
  let operator: NatsBus & AsyncDisposable;

  beforeAll(async () => {
    nats = await startNatsWithUsers();
    operator = await connectAs(nats.url, "operator");
  });
  afterAll(async () => {
    await operator[Symbol.asyncDispose]();
    await nats[Symbol.asyncDispose]();
  });

  const streams = ["FANWIRE_HISTORY", "FANWIRE_CHANNEL_QUEUES", "FANWIRE_EVENTS", "FANWIRE_WEBHOOKS"];
  const allStreams = (request: string) => streams.map((stream) => `$JS.API.STREAM.${request}.${stream}`);
  /** Requests that only an operator may send. They change, empty or delete a stream, or create another. */
  const administration = [
    ...["DELETE", "PURGE", "MSG.DELETE", "SNAPSHOT", "RESTORE"].flatMap(allStreams),
    ...["FANWIRE_HISTORY_LAST", "FANWIRE_CHANNEL_QUEUES"].map((stream) => `$JS.API.STREAM.UPDATE.${stream}`),
    "$JS.API.STREAM.CREATE.OTHER",
    "$JS.API.STREAM.NAMES",
    "$JS.API.META.LEADER.STEPDOWN",
    "$SYS.REQ.SERVER.PING",
    "elsewhere",
  ];

  const notToPublish: Record<Exclude<NatsUser, "operator">, readonly string[]> = {
    pusher: [
      ...["fanwire.live.all", "fanwire.live.user.anna", "fanwire.live.connection.aaaaaaaa.1"],
      ...["fanwire.history.all", "fanwire.history.topic.a", "fanwire.control.workers"],
      ...["fanwire.control.worker.aaaaaaaa", "fanwire.control.services", "fanwire.control.traces"],
      ...["fanwire.channel.event.a", "fanwire.channel.queue.a", "_INBOX.channel.a", "_INBOX.a"],
      "$JS.API.CONSUMER.CREATE.FANWIRE_CHANNEL_QUEUES.a",
      "$JS.ACK.FANWIRE_CHANNEL_QUEUES.a.1.1.1.1.0",
      ...["fanwire.webhooks.events.topic_occupied.a", "fanwire.events.topic_occupied.a", "fanwire.snapshots.aaaaaaaa"],
    ],
    webhooks: [
      ...["fanwire.live.all", "fanwire.live.topic.a", "fanwire.history.all", "fanwire.events.topic_occupied.a"],
      ...["fanwire.control.workers", "fanwire.control.worker.aaaaaaaa", "fanwire.reports.aaaaaaaa"],
      ...["fanwire.channel.event.a", "_INBOX.pusher.a", "_INBOX.channel.a", "_INBOX.a", "fanwire.control.services"],
      ...["$JS.API.STREAM.INFO.FANWIRE_HISTORY", "$JS.API.STREAM.MSG.GET.FANWIRE_HISTORY"],
      ...["$JS.API.STREAM.UPDATE.FANWIRE_EVENTS", "$JS.API.STREAM.UPDATE.FANWIRE_WEBHOOKS"],
    ],
    publisher: [
      ...["fanwire.presence.workers", "fanwire.presence.worker.aaaaaaaa", "fanwire.presence.topic.a"],
      "fanwire.trace.a",
      ...["fanwire.channel.event.a", "fanwire.channel.queue.a", "_INBOX.pusher.a", "_INBOX.channel.a", "_INBOX.a"],
      "$JS.API.CONSUMER.CREATE.FANWIRE_CHANNEL_QUEUES.a",
      "$JS.ACK.FANWIRE_CHANNEL_QUEUES.a.1.1.1.1.0",
    ],
    channel: [
      ...["fanwire.live.topic.a", "fanwire.live.user.anna", "fanwire.history.all", "fanwire.history.topic.a"],
      ...["fanwire.control.workers", "fanwire.control.worker.aaaaaaaa", "fanwire.control.services"],
      ...["_INBOX.pusher.a", "_INBOX.a"],
      ...["fanwire.presence.workers", "fanwire.presence.private.a"],
      ...["$JS.API.STREAM.INFO.FANWIRE_HISTORY", "$JS.API.STREAM.MSG.GET.FANWIRE_HISTORY"],
      ...["$JS.API.CONSUMER.CREATE.FANWIRE_HISTORY.a", "$JS.API.STREAM.UPDATE.FANWIRE_HISTORY"],
    ],
  };
  test.each(Object.entries(notToPublish) as [NatsUser, readonly string[]][])(
    "%s may not publish to other subjects or administer streams",
    async (user, subjects) => {
      await using bus = await connectAs(nats.url, user);
      let received = 0;
      const listening = [...subjects, ...administration].map((subject) =>
        operator.subscribe(subject, () => received++),
      );
      await operator.confirm();

      for (const subject of [...subjects, ...administration]) {
        expect(await bus.publish(subject, Buffer.from("{}")), subject).toEqual({ ok: false, reason: "forbidden" });
      }

      await operator.confirm();
      expect(received).toBe(0);
      for (const subscription of listening) subscription.unsubscribe();
    },
  );

  const notToHear: Record<Exclude<NatsUser, "operator">, readonly string[]> = {
    webhooks: ["fanwire.live.>", "fanwire.history.>", "fanwire.control.>", "fanwire.control.workers", "_INBOX.>"],
    pusher: [
      ...["fanwire.history.>", "fanwire.control.services", "fanwire.channel.>", "fanwire.reports.>"],
      ...["fanwire.trace.>", "fanwire.webhooks.>", "_INBOX.>", "_INBOX.publisher.>", "_INBOX.channel.>"],
    ],
    publisher: [
      ...["fanwire.history.>", "fanwire.control.>", "fanwire.control.traces", "fanwire.presence.>"],
      ...["_INBOX.>", "_INBOX.pusher.>"],
    ],
    channel: [
      ...["fanwire.live.>", "fanwire.live.topic.a", "fanwire.live.user.*"],
      ...["fanwire.history.>", "fanwire.control.>", "fanwire.presence.>"],
    ],
  };
  test.each(Object.entries(notToHear) as [NatsUser, readonly string[]][])(
    "%s may not subscribe to other subjects",
    async (user, subjects) => {
      await using bus = await connectAs(nats.url, user);

      for (const subject of [...subjects, ">", "$SYS.>", "$JS.API.>", "$JS.EVENT.>", "$JS.ACK.>"]) {
        const refusal = new Promise((resolve) => {
          bus.connection.subscribe(subject, { callback: (error) => resolve(error?.message) });
        });
        expect(await refusal, subject).toMatch(/permissions violation/i);
      }
    },
  );

  test("permission to reply does not allow a user to publish to other subjects", async () => {
    let received = 0;
    operator.subscribe("fanwire.control.workers", () => received++);
    await operator.confirm();
    await using bus = await connectAs(nats.url, "pusher");
    const inbox = bus.createInbox();
    let asked = false;
    bus.connection.subscribe(inbox, {
      callback: (_, message) => {
        asked = message.respond("{}");
      },
    });

    bus.connection.publish(inbox, "", { reply: "fanwire.control.workers" });
    await until("the user has answered itself", () => asked);
    await bus.confirm();
    await operator.confirm();

    expect(received).toBe(0);
  });

  test("NATS refuses a connection without a password or with the password of another user", async () => {
    for (const options of [{}, { user: "pusher", pass: "publisher" }, { user: "root", pass: "" }]) {
      const socket = connect(nats.port, "127.0.0.1");
      socket.write(`CONNECT ${JSON.stringify({ verbose: false, ...options })}\r\nPING\r\n`);
      expect(await text(socket)).toContain("Authorization Violation");
    }
  });
});

function tokenOf(user: string): Promise<string> {
  return signToken({ sub: user, topics: [">"], publish: ["news.>"] });
}
