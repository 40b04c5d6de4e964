import { createHmac } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { publishToTopic, subjects } from "../support/bus.ts";
import { metric } from "../support/cluster.ts";
import { topic } from "../support/durable.ts";
import { readEvents } from "../support/event-stream.ts";
import { connectFanwire, type FanwireClient } from "../support/fanwire-client.ts";
import { postPublication } from "../support/http-api.ts";
import { demoApp, pusherAppsEnv } from "../support/pusher-apps.ts";
import { connectPusher, type PusherClient, signer } from "../support/pusher-client.ts";
import { connectRawClient, type RawClient } from "../support/raw-client.ts";
import { SECRET, signToken } from "../support/tokens.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const env = pusherAppsEnv({ ...demoApp, clientEvents: true });
const CHANNELS = ["private-x", "private-x.y", "presence-x", "private-encrypted-x", "private-cache-x"];
/** Patterns that someone without a grant may try. */
const PATTERNS = [
  ...[">", "*", "*.>", "*.*"],
  ...["private-*", "presence-*", "private->", "private-x", "presence-x", "private-x.>"],
];

/** Everything that an uninvited client has received, as text. */
type Intruder = { readonly name: string; received(): string };

async function openSse(url: string): Promise<Intruder> {
  const { text } = await readEvents(url);
  return { name: url, received: text };
}

describe.each([
  ["an open pusher", env, undefined],
  ["a pusher with tokens", { ...env, PUSHER_TOKEN_SECRET: SECRET, PUSHER_PUBLIC_TOPICS: ">" }, [">", "*", "*.>"]],
])("on %s", (_where, pusherEnv, claims) => {
  const {
    bus,
    history,
    publisher,
    pushers: [one, two],
  } = useCluster({ pusher: pusherEnv });
  const intruders: Intruder[] = [];
  let member: PusherClient;
  let raw: RawClient[];
  let fanwire: FanwireClient[];
  let since: string;

  beforeAll(async () => {
    const before = await history.append(topic("public"), "before");
    since = String(before);
    const query = claims === undefined ? {} : { token: await signToken({ topics: claims, publish: [] }) };
    for (const channel of CHANNELS) await history.append(topic(channel), `secret stored earlier on ${channel}`);
    raw = await Promise.all(
      [">", "*", "*.>"].map((pattern) =>
        connectRawClient(`${one.url}?${new URLSearchParams({ ...query, topic: pattern })}`),
      ),
    );
    for (const [at, { frames }] of raw.entries())
      intruders.push({ name: `raw ${at}`, received: () => frames.join("\n") });
    fanwire = await Promise.all([
      connectFanwire(one.url, { ...query, topic: [">", "*"] }),
      connectFanwire(two.url, { ...query, topic: ">", since }),
    ]);
    for (const [at, client] of fanwire.entries()) {
      intruders.push({ name: `fanwire.v1 ${at}`, received: () => JSON.stringify(client.publications) });
    }
    intruders.push(
      await openSse(`${one.sseUrl}?${new URLSearchParams({ ...query, topic: ">" })}`),
      await openSse(`${two.sseUrl}?${new URLSearchParams({ ...query, topic: ">", since })}`),
    );
    member = await connectPusher(two.url);
    for (const channel of CHANNELS) {
      const answer = await member.subscribe(channel, channel === "presence-x" ? { user_id: "member" } : undefined);
      expect(answer.event).toBe("pusher_internal:subscription_succeeded");
    }
    await member.subscribe("public");
  });
  afterAll(() => {
    for (const { socket } of [...raw, ...fanwire, member]) socket.terminate();
  });

  /** Waits until all have received a public publication that was published last. */
  async function expectNoSecrets(): Promise<void> {
    await publishToTopic(bus, "public", `end ${performance.now()}`);
    const mark = `public ${performance.now()}`;
    await publishToTopic(bus, "public", mark);
    // Matched by the pattern that "public" is too short for.
    await publishToTopic(bus, "public.long", mark);
    await member.next("message", "public");
    await until("all have the public one", () => intruders.every(({ received }) => received().includes(mark)));
    for (const { name, received } of intruders)
      expect([name, received()]).toEqual([name, expect.not.stringContaining("secret")]);
  }

  test("no pattern reaches what is published live, stored, by the API or by a client", async () => {
    for (const channel of CHANNELS) {
      await publishToTopic(bus, channel, `secret live on ${channel}`);
      await history.append(topic(channel), `secret stored on ${channel}`);
      const data = `secret by the API on ${channel}`;
      const { body } = await postPublication(publisher, { target: { topic: channel }, data, receipt: true });
      expect(body).toMatchObject({ receipt: { delivered: 1 } });
    }
    member.send({ event: "client-a", channel: "private-x", data: "secret by a client" });
    await member.settle();
    await until(
      "the member has everything",
      () => member.frames.filter(({ data }) => String(data).includes("by the API")).length === CHANNELS.length,
    );

    await expectNoSecrets();
  });

  test("a publication to the wrong branch of NATS is delivered to nobody", async () => {
    for (const channel of CHANNELS) {
      const right = subjects.live(topic(channel));
      const wrong = right.replace(".live.private.", ".live.topic.");
      expect(wrong).not.toBe(right);
      await bus.publish(wrong, Buffer.from("secret in the wrong branch"));
      await bus.publish(right.replace(".live.", ".history."), Buffer.from("secret in the history"));
    }
    await bus.publish(subjects.live(topic("public")).replace(".topic.", ".private."), Buffer.from("secret, too"));

    await expectNoSecrets();
    expect(member.frames.filter(({ data }) => /wrong branch|secret, too/.test(String(data)))).toEqual([]);
    const counts = await Promise.all(
      [one, two].map(({ adminUrl }) => metric(adminUrl, "fanwire_pusher_misaddressed_total")),
    );
    expect(counts.every((count) => count > 0)).toBe(true);
  });

  test("a command to subscribe is refused, or matches nothing restricted", async () => {
    const [client] = fanwire;
    for (const pattern of PATTERNS) {
      const reply = await client?.ask({ command: "subscribe", topic: pattern, since });
      if (/^(private|presence)/.test(pattern)) {
        expect([pattern, reply]).toEqual([pattern, expect.objectContaining({ ok: false })]);
      }
    }
    for (const channel of CHANNELS) await publishToTopic(bus, channel, "secret after commands");

    await expectNoSecrets();
  });

  test("pusher-js without the right signature is refused", async () => {
    const client = await connectPusher(one.url);
    const other = await connectPusher(one.url);
    const sdk = signer();
    const hmac = (text: string) => createHmac("sha256", demoApp.secret).update(text).digest("hex");
    const good = sdk.authorizeChannel(client.socketId, "private-x").auth;
    const member = sdk.authorizeChannel(client.socketId, "presence-x", { user_id: "1" });
    const refused: readonly [channel: string, more: Record<string, unknown>][] = [
      ["private-x", {}],
      ["private-x", { auth: "" }],
      ["private-x", { auth: null }],
      ["private-x", { auth: 7 }],
      ["private-x", { auth: {} }],
      ["private-x", { auth: demoApp.key }],
      ["private-x", { auth: `${demoApp.key}:` }],
      ["private-x", { auth: `other:${good.split(":")[1]}` }],
      ["private-x", { auth: `${good.slice(0, -1)}${good.endsWith("0") ? "1" : "0"}` }],
      ["private-x", { auth: good.toUpperCase() }],
      ["private-x", { auth: `${good}0` }],
      ["private-x", { auth: sdk.authorizeChannel(other.socketId, "private-x").auth }],
      ["private-x", { auth: sdk.authorizeChannel(client.socketId, "private-y").auth }],
      ["private-encrypted-x", { auth: good }],
      ["private-cache-x", { auth: good }],
      ["presence-x", { auth: member.auth }],
      ["presence-x", { ...member, channel_data: '{"user_id":"2"}' }],
      ["presence-x", { ...member, channel_data: `${member.channel_data} ` }],
      ["presence-x", { ...member, channel_data: { user_id: "1" } }],
      ["presence-x", { auth: `${demoApp.key}:${hmac(`${client.socketId}:presence-x`)}` }],
    ];

    for (const [channel, more] of refused) {
      client.send({ event: "pusher:subscribe", data: { channel, ...more } });
      const answer = await client.next("pusher:subscription_error", channel);
      expect([more, answer.data]).toEqual([more, expect.objectContaining({ type: "AuthError", status: 401 })]);
      expect((await client.next("pusher:error")).data).toMatchObject({ code: 4009 });
    }
    for (const channel of CHANNELS) await publishToTopic(bus, channel, "secret");
    await client.settle();
    expect(JSON.stringify(client.frames)).not.toContain("secret");
    expect(client.close).toBeUndefined();
  });

  test.each([">", "*", "private-*", "a/b", "a b", "", "ж", "x".repeat(201), "#server-to-user-", "app/other/x", "a>"])(
    "%j is no channel",
    async (channel) => {
      const client = await connectPusher(one.url);

      client.send({ event: "pusher:subscribe", data: { channel, auth: "" } });

      expect(await client.next("pusher:subscription_error", channel)).toBeDefined();
    },
  );
});
