import { createConnection } from "node:net";
import { setImmediate as nextTick } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { type BusConfig, type BusMessage, type NatsBus, startNatsBus } from "@fanwire/bus";
import { createLog } from "@fanwire/service";
import { expect, test, vi } from "vitest";
import { testBusContract } from "../support/contracts/bus.ts";
import { startLink } from "../support/link.ts";
import { startNats, type TestNats } from "../support/nats.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const { nats } = useCluster();
const log = createLog("test", "silent");
const text = (content: string) => Buffer.from(content);

async function connect(
  { url }: Pick<TestNats, "url">,
  config: Partial<BusConfig> = {},
  signal = AbortSignal.timeout(20_000),
): Promise<NatsBus & AsyncDisposable> {
  const bus = await startNatsBus({
    config: { servers: [url], prefix: "fanwire", credentials: { kind: "none" }, tls: undefined, ...config },
    name: "test",
    log,
    signal,
  });
  return Object.assign(bus, { [Symbol.asyncDispose]: () => bus.stop() });
}

testBusContract<TestNats>({ server: nats, startServer: startNats, connect });

test("subscriptions of many ticks share confirmations, and each receives what is published after its own", async () => {
  await using bus = await connect(nats);
  await using publisher = await connect(nats);
  const pings = vi.spyOn(bus.connection, "flush");
  const received = new Set<string>();
  const newcomers = 1_000;

  const confirmed: Promise<void>[] = [];
  for (let each = 0; each < newcomers; each++) {
    const subject = `newcomer.${each}`;
    bus.subscribe(subject, (message) => received.add(message.subject));
    confirmed.push(
      bus.confirm().then(async (isConfirmed) => {
        expect(isConfirmed).toBe(true);
        publisher.send(subject, text(""));
      }),
    );
    await nextTick();
  }

  await Promise.all(confirmed);
  await until("all subscriptions receive their message", () => received.size === newcomers);
  // There are at least two ticks between two pings.
  expect(pings.mock.calls.length).toBeLessThanOrEqual(newcomers / 2 + 2);
});

test("a reply with malformed headers is a reply, and the connection stays usable", async () => {
  const bus = await connect(nats);
  const responder = await connect(nats);
  const head = "NATS/1.0\r\nnot a name: 1\r\nnämé: 2\r\n\r\n";
  const reply = async ({ reply = "" }: BusMessage) => {
    const socket = createConnection(nats.port, "127.0.0.1");
    const size = Buffer.byteLength(head);
    socket.end(`CONNECT {"verbose":false,"headers":true}\r\nHPUB ${reply} ${size} ${size}\r\n${head}\r\nPING\r\n`);
  };
  responder.subscribe("malformed", reply);
  await responder.confirm();

  const single = await bus.request("malformed", text("?"), { timeoutMs: 2_000 });
  const many = await bus.gather("malformed", text("?"), { stallMs: 200, maxWaitMs: 2_000 });
  const asJetStreamAsks = await bus.connection.request("malformed", "?", { timeout: 2_000 });

  expect(single.ok && single.message.data.length).toBe(0);
  expect(many.ok && many.messages.length).toBe(1);
  expect(asJetStreamAsks.data.length).toBe(0);
  expect(await bus.request("nobody", text("?"), { timeoutMs: 1_000 })).toEqual({ ok: false, reason: "no-responders" });
  expect(await bus.confirm()).toBe(true);
  await Promise.all([bus.stop(), responder.stop()]);
});

test("a question to many without a responder ends at once, or is reported to a caller that decides itself", async () => {
  await using bus = await connect(nats);
  const longMs = 60_000;
  const ended = new AbortController();
  const onReply = ({ data }: BusMessage) => {
    if (data.length === 0) ended.abort();
  };

  const stalled = await bus.gather("nobody", text("?"), { stallMs: longMs, maxWaitMs: longMs });
  const decided = await bus.gather("nobody", text("?"), { maxWaitMs: longMs, signal: ended.signal, onReply });

  expect([stalled, decided]).toEqual(Array(2).fill({ ok: true, messages: [] }));
});

test("the bus detects a NATS server that hangs, and reports publications as unconfirmed", async () => {
  await using nats = await startNats();
  await using bus = await connect(nats);
  await until("the first probe is answered", () => bus.health().alive);

  nats.signal("SIGSTOP");
  expect(await bus.publish("a", text("?"))).toEqual({ ok: false, reason: "unconfirmed" });
  await until("the loss is detected", () => !bus.health().alive);
  expect(bus.health()).toEqual({ alive: false, reason: "nothing comes back from NATS" });
  expect(await bus.publish("a", text("?"))).toEqual({ ok: false, reason: "unavailable" });

  nats.signal("SIGCONT");
  await until("the loss is over", () => bus.health().alive);
});

test("after a reconnect the bus is alive only when a message has returned, so that NATS knows its subscriptions", async () => {
  await using nats = await startNats();
  await using link = await startLink(nats.port, { readsNats: true });
  await using bus = await connect(link);
  await until("the first probe is answered", () => bus.health().alive);

  link.cut();
  await until("the loss is detected", () => !bus.health().alive);
  link.drop = () => true;
  link.heal();
  await until("publications are accepted", async () => (await bus.publish("a", text("?"))).ok);
  expect(bus.health()).toEqual({ alive: false, reason: "nothing comes back from NATS" });

  link.drop = () => false;
  await until("a message has returned", () => bus.health().alive);
});

test("the bus retries when NATS refuses its credentials", async () => {
  await using nats = await startNats(["--user", "app", "--pass", "s3cret"]);
  const waiting = connect(nats, { credentials: { kind: "token", token: "wrong" } }, AbortSignal.timeout(1_500));

  await expect(waiting).rejects.toThrow(/abort|timeout/i);
});

const limitedUser = {
  config:
    'authorization { users: [{ user: u, password: p, permissions: { publish: ["fine.>", "_INBOX.>"], subscribe: ">" } }] }',
  credentials: { kind: "user", user: "u", password: "p" },
} as const;

test("a publication that NATS permissions forbid is reported as forbidden", async () => {
  await using nats = await startNats([], limitedUser);
  const bus = await connect(nats, { credentials: limitedUser.credentials });

  const outcomes = await Promise.all(
    ["fine.a", "secret.a", "fine.b"].map((subject) => bus.publish(subject, text("x"))),
  );

  expect(outcomes).toEqual([{ ok: true }, { ok: false, reason: "forbidden" }, { ok: true }]);
  expect(await bus.request("secret.b", text("x"), { timeoutMs: 500 })).toEqual({ ok: false, reason: "forbidden" });
  expect(await bus.gather("secret.c", text("x"), { maxWaitMs: 500 })).toEqual({ ok: false, reason: "forbidden" });
  await bus.stop();
});

test("no publication that NATS forbids is reported as published, however many it forbids at the same time", async () => {
  await using nats = await startNats([], limitedUser);
  await using bus = await connect(nats, { credentials: limitedUser.credentials });
  const outcomesOf = async (count: number) => {
    const batch = Array.from({ length: count }, (_, at) => ({ subject: `secret.${count}.${at}`, content: text("x") }));
    const outcomes = await bus.publishAll(batch);
    return new Set(outcomes.map((outcome) => (outcome.ok ? "published" : outcome.reason)));
  };

  expect(await outcomesOf(1_100)).toEqual(new Set(["forbidden"]));
  // These are more than the bus remembers, so that the outcome of the first ones is unknown.
  expect(await outcomesOf(11_000)).toEqual(new Set(["unconfirmed", "forbidden"]));
  expect(await bus.publish("fine.a", text("x"))).toEqual({ ok: true });
});

test("a subscription takes less than 500 bytes of heap", async () => {
  await using bus = await connect(nats);
  const ignore = () => {};
  const before = heapBytes();

  for (let at = 0; at < 20_000; at++) bus.subscribe(`affordable.${at}`, ignore);
  await bus.confirm();

  expect((heapBytes() - before) / 20_000).toBeLessThan(500);
});

/** Returns the live bytes of the heap of this process. */
function heapBytes(): number {
  setFlagsFromString("--expose-gc");
  runInNewContext("gc")();
  return process.memoryUsage().heapUsed;
}
