import { describe, expect, test } from "vitest";
import { postPublication } from "../support/http-api.ts";
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
    for (const client of clients) client.close();
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
    anna.close();
    bob.close();
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
    for (const client of [witness, third]) client.close();
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
    // Whoever joins meanwhile shows that the changes before it have arrived.
    const last = await connect("last", 1);
    await last.join("held");
    await until("last has joined", () => witness.members("held").includes("last"));

    expect(witness.changes("held")).toEqual(["+eva", "+last"]);
    for (const each of [client, witness, last]) each.close();
  });

  test("a joiner within the hold-back sees the absent member, and then that it leaves", async () => {
    const [absent, witness] = [await connect("absent", 0), await connect("witness", 1)];
    await Promise.all([absent.join("late"), witness.join("late")]);
    absent.close();
    await until("the connection is closed", () => absent.client.close !== undefined);

    const joiner = await connect("joiner", 1);
    expect(await joiner.join("late")).toMatchObject({ count: 3 });
    await untilSeen(joiner, "late", [joiner, witness]);
    expect(joiner.changes("late")).toEqual(["-absent"]);
    for (const each of [joiner, witness]) each.close();
  });

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
    reader.close();
  });

  test("presence needs a user, the claim, and a topic", async () => {
    const withoutClaim = await connect("frieda", 0, { presence: ["other"] });
    const withoutTopic = await connect("frieda", 0, { topics: ["other"] });
    const anonymous = await connect("", 0, { sub: undefined });
    const refused = async (client: PresenceClient, topic = "room") => (await client.join(topic)).error;

    expect(await refused(withoutClaim)).toEqual({
      code: "forbidden",
      message: "the token does not allow presence on this topic",
    });
    expect(await refused(withoutTopic)).toEqual({ code: "forbidden", message: "not authorized for this topic" });
    expect(await refused(anonymous)).toEqual({
      code: "forbidden",
      message: "presence needs a token with a user (sub)",
    });
    for (const pattern of ["room.*", ">"])
      expect(await refused(withoutClaim, pattern)).toMatchObject({ code: "invalid" });
    for (const each of [withoutClaim, withoutTopic, anonymous]) each.close();
  });

  test("restricted topics have members too, and open topics of the same tokens are others", async () => {
    const [one, other] = [await connect("one", 0), await connect("other", 1)];

    expect(await one.join("private-room")).toMatchObject({ ok: true, count: 1 });
    expect(await other.join("private-room")).toMatchObject({ ok: true, count: 2 });
    expect(await other.join("x.private-room")).toMatchObject({ ok: true, count: 1 });
    for (const each of [one, other]) each.close();
  });

  test("a connection that is already subscribed may join, and may repeat it", async () => {
    const client = await connect("gina", 0);
    await client.client.ask({ command: "subscribe", topic: "again" });

    expect(await client.join("again")).toMatchObject({ ok: true, count: 1, members: [{ user: "gina" }] });
    expect(await client.join("again")).toMatchObject({ ok: true, count: 1, members: [{ user: "gina" }] });
    expect(client.changes("again")).toEqual([]);
    client.close();
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
    for (const each of [client, witness]) each.close();
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
    for (const each of [client, witness]) each.close();
  });
});

async function untilSeen(client: PresenceClient, topic: string, others: readonly PresenceClient[]): Promise<void> {
  const expected = others.map(({ user }) => user).sort();
  await until(
    () => `${client.user} sees ${expected}, not ${client.members(topic)}`,
    () => client.members(topic).join() === expected.join(),
  );
}
