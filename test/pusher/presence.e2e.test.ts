import { describe, expect, test } from "vitest";
import { readEvents } from "../support/event-stream.ts";
import { connectFanwire } from "../support/fanwire-client.ts";
import { callApi, postPublication } from "../support/http-api.ts";
import { connectPresence, type PresenceClient, presenceToken } from "../support/presence-client.ts";
import { SECRET } from "../support/tokens.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const env = { PUSHER_TOKEN_SECRET: SECRET, PUSHER_PRESENCE_LEAVE_SECONDS: "2" };

describe("presence on two pushers", () => {
  const { pushers, publisher } = useCluster({ pusher: env });
  const connect = (user: string, at = 0, claims = {}) => connectPresence(pushers[at] ?? pushers[0], user, claims);

  test("20 simultaneous joiners all see 20, nobody twice", async () => {
    const clients = await Promise.all(Array.from({ length: 20 }, (_, at) => connect(`user-${at}`, at % 2)));

    const replies = await Promise.all(clients.map((client) => client.join("crowd")));

    expect(replies.every(({ ok }) => ok === true)).toBe(true);
    for (const client of clients) await untilSeen(client, "crowd", clients);
  });

  test("a joiner's list has who joined on the other pusher, with info, and later changes follow", async () => {
    const anna = await connect("anna", 0, { info: { name: "Anna" } });
    expect(await anna.join("room")).toMatchObject({ count: 1, members: [{ user: "anna", info: { name: "Anna" } }] });
    const bob = await connect("bob", 1);
    expect(await bob.join("room")).toMatchObject({
      count: 2,
      members: expect.arrayContaining([{ user: "anna", info: { name: "Anna" } }, { user: "bob" }]),
    });
    await until("anna sees bob", () => anna.changes("room").length > 0);
    expect(anna.client.messages.filter(({ type }) => type === "presence")).toEqual([
      { type: "presence", topic: "room", joined: [{ user: "bob" }], left: [], count: 2 },
    ]);

    await bob.client.ask({ command: "unsubscribe", topic: "room" });
    await until("bob has left", () => anna.members("room").length === 1);
    expect(bob.changes("room")).toEqual([]);
  });

  test("two connections of one user on two pushers join once and leave once", async () => {
    const witness = await connect("witness", 1);
    await witness.join("pair");
    const [one, other] = [await connect("carl", 0), await connect("carl", 1)];
    await Promise.all([one.join("pair"), other.join("pair")]);
    await until("carl has joined", () => witness.changes("pair").length > 0);

    one.close();
    const third = await connect("dora", 0);
    await third.join("pair");
    await until("dora has joined", () => witness.members("pair").includes("dora"));
    other.close();
    await until("carl has left", () => !witness.members("pair").includes("carl"));

    expect(witness.changes("pair").filter((change) => change.endsWith("carl"))).toEqual(["+carl", "-carl"]);
  });

  test("a reload and a handover to the other pusher within the hold-back are silent", async () => {
    const witness = await connect("witness", 0);
    await witness.join("held");
    let client = await connect("eva", 0);
    await client.join("held");
    await until("eva has joined", () => witness.changes("held").length === 1);

    for (const at of [0, 1, 0]) {
      client.close();
      client = await connect("eva", at);
      const reply = await client.join("held");
      expect(reply).toMatchObject({ ok: true, count: 2 });
    }
    // When the witness sees this join, it has received all changes before it.
    const last = await connect("last", 1);
    await last.join("held");
    await until("last has joined", () => witness.members("held").includes("last"));

    expect(witness.changes("held")).toEqual(["+eva", "+last"]);
  });

  test("a joiner within the hold-back sees the absent member, and then that it leaves", async () => {
    const [absent, witness] = [await connect("absent", 0), await connect("witness", 1)];
    await Promise.all([absent.join("late"), witness.join("late")]);
    absent.close();
    await until("the connection is closed", () => absent.client.close !== undefined);

    // Another worker would not know the absent member.
    const workerOf = ({ client }: PresenceClient) => client.welcome.connection.split(".")[0];
    let joiner = await connect("joiner", 1);
    while (workerOf(joiner) !== workerOf(witness)) joiner = await connect("joiner", 1);
    expect(await joiner.join("late")).toMatchObject({ count: 3 });
    await untilSeen(joiner, "late", [joiner, witness]);
    expect(joiner.changes("late")).toEqual(["-absent"]);
  });

  test("the API has each member right after its join, and no longer than its last connection", async () => {
    const clients: PresenceClient[] = [];
    for (let at = 0; at < 20; at++) {
      const client = await connect(`user-${String(at).padStart(2, "0")}`, at % 2, { info: at });
      expect(await client.join("api")).toMatchObject({ ok: true, count: at + 1 });
      expect(await membersOf("api", "limit=1000")).toMatchObject({ count: at + 1, members: { length: at + 1 } });
      expect(await callApi(publisher, "GET", "/v1/topics/api")).toMatchObject({
        body: { topic: "api", connections: at + 1, members: at + 1 },
      });
      clients.push(client);
    }
    const second = await connect("user-00", 1, { info: "second" });
    await second.join("api");

    expect(await membersOf("api", "limit=2")).toEqual({
      topic: "api",
      members: [
        { user: "user-00", info: 0, connections: 2 },
        { user: "user-01", info: 1, connections: 1 },
      ],
      count: 20,
      next: "user-01",
    });
    expect(await membersOf("api", "limit=2&after=user-18")).toEqual({
      topic: "api",
      members: [{ user: "user-19", info: 19, connections: 1 }],
      count: 20,
    });
    for (const client of [...clients, second]) client.close();
    await until("no connection is left", async () => (await membersOf("api")).count === 0);
    expect((await callApi(publisher, "GET", "/v1/topics/a.*/members")).status).toBe(422);
    expect((await callApi(publisher, "GET", "/v1/topics/a/members?after=")).status).toBe(422);
  });

  test("members end by an API call that unsubscribes, and a closed user", async () => {
    const [client, witness] = [await connect("julia", 0), await connect("witness", 1)];
    await Promise.all([client.join("ended"), witness.join("ended")]);

    const address = client.client.welcome.connection;
    expect((await callApi(publisher, "DELETE", `/v1/connections/${address}/topics/ended`)).status).toBe(204);
    expect(await membersOf("ended")).toMatchObject({ count: 1, members: [{ user: "witness" }] });
    await client.join("ended");
    expect(await membersOf("ended")).toMatchObject({ count: 2 });
    await callApi(publisher, "DELETE", "/v1/users/julia/connections");
    await until("the connection is closed", () => client.client.close);
    expect(await membersOf("ended")).toMatchObject({ count: 1 });
  });

  async function membersOf(topic: string, query = ""): Promise<{ readonly count: number }> {
    const { status, body } = await callApi<{ readonly count: number }>(
      publisher,
      "GET",
      `/v1/topics/${topic}/members?${query}`,
    );
    expect(status).toBe(200);
    return body;
  }

  test("changes keep their order with publications", async () => {
    const reader = await connect("reader", 0);
    await reader.join("order");
    for (let at = 0; at < 10; at++) {
      const guest = await connect(`guest-${at}`, at % 2);
      await guest.join("order");
      await postPublication(publisher, { target: { topic: "order" }, data: `after ${at}` });
      await until("the publication", () => reader.client.data().includes(`after ${at}`));
      guest.close();
    }
    for (let at = 0; at < 10; at++) {
      const joined = reader.client.messages.findIndex((each) => JSON.stringify(each.joined)?.includes(`guest-${at}`));
      const data = reader.client.messages.findIndex((each) => each.data === `after ${at}`);
      expect(joined, `guest-${at}`).toBeGreaterThan(0);
      expect(joined, `guest-${at}`).toBeLessThan(data);
    }
  });

  test("an event stream joins with presence, receives the list after the welcome, and then changes", async () => {
    const anna = await connect("anna", 0, { info: 1 });
    await anna.join("stream");
    const token = await presenceToken("bob");
    const stream = await readEvents(`${pushers[1].sseUrl}?presence=stream&presence=other&topic=more&token=${token}`);
    const events = (topic: string) =>
      stream
        .events()
        .filter(({ event }) => event === "fanwire.presence")
        .map(({ data }): Record<string, unknown> => JSON.parse(data))
        .filter((data) => data.topic === topic);
    await until("both lists arrive", () => events("stream").length + events("other").length === 2);

    expect(stream.events()[0]?.event).toBe("fanwire.welcome");
    expect(events("stream")[0]).toMatchObject({ topic: "stream", count: 2 });
    expect(events("stream")[0]?.members).toEqual(expect.arrayContaining([{ user: "anna", info: 1 }, { user: "bob" }]));
    expect(events("other")).toEqual([{ topic: "other", count: 1, members: [{ user: "bob" }] }]);
    const carl = await connect("carl", 0);
    await carl.join("stream");
    await until("carl has joined", () => events("stream").length === 2);
    expect(events("stream")[1]).toEqual({ topic: "stream", joined: [{ user: "carl" }], left: [], count: 3 });
    await postPublication(publisher, { target: { topic: "stream" }, data: "subscribed" });
    await until("the publication", () => stream.data().includes("subscribed"));

    stream.close();
    await untilSeen(anna, "stream", [anna, carl]);
  });

  test("an event stream that receives copies of publications receives changes too", async () => {
    const token = await presenceToken("bob");
    const stream = await readEvents(`${pushers[1].sseUrl}?presence=copies&topic=*&topic=copies&token=${token}`);
    await until("the list arrives", () => stream.text().includes("fanwire.presence"));
    // The application's subscription moves the connection to another encoding.
    expect((await callApi(publisher, "PUT", `/v1/connections/${stream.address()}/topics/>`)).status).toBe(204);
    const anna = await connect("anna", 0);
    await anna.join("copies");
    await until("anna has joined", () => stream.data().at(-1)?.includes("anna"));

    expect(JSON.parse(stream.data().at(-1) ?? "")).toMatchObject({ joined: [{ user: "anna" }], count: 2 });
  });

  test("presence in the query is refused without the claim, and over WebSocket", async () => {
    const [token, withoutClaim] = [await presenceToken("bob"), await presenceToken("bob", { presence: [] })];

    await expect(readEvents(`${pushers[0].sseUrl}?presence=a&token=${withoutClaim}`)).rejects.toThrow("403");
    await expect(readEvents(`${pushers[0].sseUrl}?presence=a`)).rejects.toThrow("403");
    await expect(readEvents(`${pushers[0].sseUrl}?presence=a.*&token=${token}`)).rejects.toThrow("400");
    await expect(connectFanwire(pushers[0].url, { presence: "a", token })).rejects.toThrow("4400");
  });

  test("presence needs a user, the claim, and a topic", async () => {
    const withoutClaim = await connect("frieda", 0, { presence: ["other"] });
    const withoutTopic = await connect("frieda", 0, { topics: ["other"] });
    const anonymous = await connect("", 0, { sub: undefined });
    const refused = async (client: PresenceClient) => (await client.join("room")).error;

    expect(await refused(withoutClaim)).toEqual({
      code: "forbidden",
      message: "the token does not allow presence on this topic",
    });
    expect(await refused(withoutTopic)).toEqual({ code: "forbidden", message: "not authorized for this topic" });
    expect(await refused(anonymous)).toEqual({
      code: "forbidden",
      message: "presence needs a token with a user (sub)",
    });
  });

  test("restricted topics have members too, and open topics of the same tokens are others", async () => {
    const [one, other] = [await connect("one", 0), await connect("other", 1)];

    expect(await one.join("private-room")).toMatchObject({ ok: true, count: 1 });
    expect(await other.join("private-room")).toMatchObject({ ok: true, count: 2 });
    expect(await other.join("x.private-room")).toMatchObject({ ok: true, count: 1 });
  });

  test("a connection that is already subscribed may join, and may repeat it", async () => {
    const client = await connect("gina", 0);
    await client.client.ask({ command: "subscribe", topic: "again" });

    expect(await client.join("again")).toMatchObject({ ok: true, count: 1, members: [{ user: "gina" }] });
    expect(await client.join("again")).toMatchObject({ ok: true, count: 1, members: [{ user: "gina" }] });
    expect(client.changes("again")).toEqual([]);
  });

  test("subscribe, unsubscribe and subscribe in one frame are answered, and the last one counts", async () => {
    const [client, witness] = [await connect("hans", 0), await connect("witness", 1)];
    await witness.join("quick");

    const replies = await client.client.askTogether([
      { command: "subscribe", topic: "quick", presence: true },
      { command: "unsubscribe", topic: "quick" },
      { command: "subscribe", topic: "quick", presence: true },
    ]);

    expect(replies.map(({ ok }) => ok)).toEqual([false, true, true]);
    await untilSeen(witness, "quick", [client, witness]);
  });

  test("a refresh without the claim, and a closed connection, end membership", async () => {
    const [client, witness] = [await connect("ida", 0), await connect("witness", 1)];
    await Promise.all([client.join("claim"), witness.join("claim")]);
    await untilSeen(witness, "claim", [client, witness]);

    const token = await presenceToken("ida", { presence: [] });
    expect(await client.client.ask({ command: "refresh", token })).toMatchObject({
      ok: true,
      presenceDropped: ["claim"],
    });
    await untilSeen(witness, "claim", [witness]);
    await postPublication(publisher, { target: { topic: "claim" }, data: "still subscribed" });
    await until("the publication", () => client.client.data().includes("still subscribed"));
  });
});

describe("presence on a NATS that accepts small messages only", () => {
  const { pushers, publisher } = useCluster({
    nats: "max_payload: 8192",
    pusher: { ...env, PUSHER_WORKERS: "1", PUSHER_MAX_INBOUND_PER_SECOND: "1000" },
  });

  test("members and topics that need many messages are all known", async () => {
    const info = "x".repeat(1_000);
    const topics = Array.from({ length: 120 }, (_, at) => String(at).padEnd(250, "t"));
    const members = await Promise.all(
      Array.from({ length: 60 }, (_, at) => connectPresence(pushers[0], `user-${at}`, { info })),
    );
    await Promise.all(members.map((member) => member.join("large")));
    const [first] = members;
    await Promise.all(topics.map((topic) => first?.join(topic)));

    const joiner = await connectPresence(pushers[1], "joiner");
    expect(await joiner.join("large")).toMatchObject({ count: 61, members: { length: 61 } });
    const replies = await Promise.all(topics.map((topic) => joiner.join(topic)));
    expect(replies.map(({ count }) => count)).toEqual(topics.map(() => 2));
    const { body } = await callApi<{ count: number; members: unknown[] }>(
      publisher,
      "GET",
      "/v1/topics/large/members?limit=1000",
    );
    expect(body.count).toBe(61);
    expect(body.members.length).toBeLessThan(61);
  });
});

async function untilSeen(client: PresenceClient, topic: string, others: readonly PresenceClient[]): Promise<void> {
  const expected = others.map(({ user }) => user).sort();
  await until(
    () => `${client.user} sees ${expected}, not ${client.members(topic)}`,
    () => client.members(topic).join() === expected.join(),
  );
}
