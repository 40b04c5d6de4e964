import { createConnection } from "node:net";
import { setImmediate as nextTick } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { type BusConfig, type BusMessage, type NatsBus, startNatsBus } from "@fanwire/bus";
import { createLog } from "@fanwire/service";
import { expect, test, vi } from "vitest";
import { startNats, type TestNats } from "../support/nats.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const { nats } = useCluster();
const log = createLog("test", "silent");
const text = (content: string) => Buffer.from(content);

async function connect(
  { url }: Pick<TestNats, "url">,
  config: Partial<BusConfig> = {},
): Promise<NatsBus & AsyncDisposable> {
  const bus = await startNatsBus({
    config: { servers: [url], prefix: "fanwire", credentials: { kind: "none" }, tls: undefined, ...config },
    name: "test",
    log,
    signal: AbortSignal.timeout(20_000),
  });
  return Object.assign(bus, { [Symbol.asyncDispose]: () => bus.stop() });
}

test("publications that are confirmed arrive in order, with their headers", async () => {
  await using publisher = await connect(nats);
  await using reader = await connect(nats);
  const got: [string, string | undefined][] = [];
  reader.subscribe("a.*", (message) => got.push([Buffer.from(message.data).toString(), message.headers?.get("Event")]));
  await reader.publish("flush", text(""));

  const outcomes = await Promise.all(
    Array.from({ length: 500 }, (_, at) => publisher.publish("a.b", text(String(at)), [["Event", `e${at}`]])),
  );

  expect(outcomes.every(({ ok }) => ok)).toBe(true);
  await until("all messages arrive", () => got.length === 500);
  expect(got).toEqual(Array.from({ length: 500 }, (_, at) => [String(at), `e${at}`]));
});

test("a request does not overtake publications of the same tick", async () => {
  await using publisher = await connect(nats);
  await using reader = await connect(nats);
  const got: string[] = [];
  reader.subscribe("a", (message) => {
    got.push(Buffer.from(message.data).toString());
    message.respond("");
  });
  await reader.confirm();

  const outcomes = await Promise.all([
    publisher.publish("a", text("1")),
    publisher.request("a", text("2"), { timeoutMs: 5_000 }),
    publisher.publish("a", text("3")),
    publisher.gather("a", text("4"), { stallMs: 100, maxWaitMs: 5_000 }),
    publisher.publish("a", text("5")),
    publisher.gather("a", text("6"), { maxWaitMs: 100 }),
  ]);

  expect(outcomes.every((outcome) => outcome && (!("ok" in outcome) || outcome.ok))).toBe(true);
  await until("all messages arrive", () => got.length === 6);
  expect(got).toEqual(["1", "2", "3", "4", "5", "6"]);
});

test("send() and publish() keep their order, and confirm() covers both", async () => {
  await using nats = await startNats();
  const [publisher, reader] = await Promise.all([connect(nats), connect(nats)]);
  const got: string[] = [];
  reader.subscribe("a", (message) => got.push(Buffer.from(message.data).toString()));
  await reader.confirm();

  for (const content of ["1", "2"]) expect(publisher.send("a", text(content))).toBe("sent");
  const published = publisher.publish("a", text("3"));
  expect(publisher.send("a", text("4"), [["Via", "x"]])).toBe("sent");
  expect(await publisher.confirm()).toBe(true);
  await published;
  await until("all messages arrive", () => got.length === 4);
  expect(got).toEqual(["1", "2", "3", "4"]);
  expect(publisher.send("a", new Uint8Array(publisher.maxPayloadBytes() + 1))).toBe("too-large");

  await nats.stop();
  await until("the loss is detected", () => !publisher.health().alive);
  expect(publisher.send("a", text("lost"))).toBe("unavailable");
  expect(await publisher.confirm()).toBe(false);
  await Promise.all([publisher.stop(), reader.stop()]);
  expect(publisher.send("a", text("too late"))).toBe("unavailable");
});

test("publications and subscriptions of one tick keep their order", async () => {
  await using bus = await connect(nats);
  const got: [string, string | undefined][] = [];
  const subscribe = () =>
    bus.subscribe("a", (message) => got.push([Buffer.from(message.data).toString(), message.headers?.get("Event")]));

  const outcomes = [bus.publish("a", text("before any subscription"))];
  const subscription = subscribe();
  outcomes.push(
    bus.publish("a", text("1")),
    bus.publish("a", text("2"), [["Event", "e"]]),
    bus.publish("a", text("3")),
  );
  subscription.unsubscribe();
  outcomes.push(bus.publish("a", text("between")));
  subscribe();
  outcomes.push(bus.publish("a", text("4")));

  expect(await Promise.all(outcomes)).toEqual(Array.from({ length: 6 }, () => ({ ok: true })));
  await until("the last message arrives", () => got.at(-1)?.[0] === "4");
  // A closed subscription receives nothing.
  expect(got).toEqual([["4", undefined]]);
});

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

test("a queue group delivers each message to one subscription, each with the same probability", async () => {
  await using one = await connect(nats);
  await using other = await connect(nats);
  const counts = [0, 0, 0];
  for (const [at, bus] of [one, one, other].entries()) {
    const onMessage = () => {
      counts[at] = (counts[at] ?? 0) + 1;
    };
    bus.subscribe("g", onMessage, "group");
  }
  await Promise.all([one.confirm(), other.confirm()]);

  for (let count = 0; count < 3_000; count++) other.send("g", text("x"));

  await until("all messages arrive", () => counts.reduce((sum, count) => sum + count, 0) === 3_000);
  for (const count of counts) expect(Math.abs(count - 1_000)).toBeLessThan(150);
});

test("request() distinguishes a reply, a timeout and no responders", async () => {
  await using bus = await connect(nats);
  bus.subscribe("answers", (message) => message.respond("yes"));
  bus.subscribe("silent", () => {});

  const answered = await bus.request("answers", text("?"), { timeoutMs: 1_000 });
  expect(answered.ok && Buffer.from(answered.message.data).toString()).toBe("yes");
  expect(await bus.request("silent", text("?"), { timeoutMs: 50 })).toEqual({ ok: false, reason: "timeout" });
  expect(await bus.request("nobody", text("?"), { timeoutMs: 1_000 })).toEqual({ ok: false, reason: "no-responders" });
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

test("gather() calls back for each reply until its signal aborts", async () => {
  await using bus = await connect(nats);
  for (const answer of ["a", "b"]) bus.subscribe("all", (message) => message.respond(answer));
  const replies: string[] = [];
  const enough = new AbortController();
  const onReply = ({ data }: BusMessage) => {
    if (replies.push(Buffer.from(data).toString()) === 2) enough.abort();
  };

  const outcome = await bus.gather("all", text("?"), { maxWaitMs: 20_000, signal: enough.signal, onReply });

  expect(outcome.ok && outcome.messages.length).toBe(2);
  expect(replies.toSorted()).toEqual(["a", "b"]);
  expect(await bus.gather("none", text("?"), { maxWaitMs: 50 })).toEqual({ ok: true, messages: [] });
  const tooLarge = Buffer.alloc(bus.maxPayloadBytes() + 1);
  expect(await bus.gather("all", tooLarge, { maxWaitMs: 50 })).toEqual({ ok: false, reason: "too-large" });
});

test("gather() with a stall time returns all replies, or none without responders", async () => {
  await using bus = await connect(nats);
  for (const answer of ["a", "b", "c"]) bus.subscribe("all", (message) => message.respond(answer));

  const gathered = await bus.gather("all", text("?"), { stallMs: 200, maxWaitMs: 1_000 });

  expect(gathered.ok && gathered.messages.map(({ data }) => Buffer.from(data).toString()).sort()).toEqual([
    "a",
    "b",
    "c",
  ]);
  expect(await bus.gather("none", text("?"), { stallMs: 50, maxWaitMs: 200 })).toEqual({ ok: true, messages: [] });
});

test("the bus refuses content over max_payload, and NATS does not close the connection", async () => {
  await using bus = await connect(nats);
  const limit = bus.maxPayloadBytes();

  expect(await bus.publish("a", new Uint8Array(limit))).toEqual({ ok: true });
  expect(await bus.publish("a", new Uint8Array(limit + 1))).toEqual({ ok: false, reason: "too-large" });
  expect(await bus.publish("a", new Uint8Array(limit), [["Event", "e"]])).toEqual({ ok: false, reason: "too-large" });
  expect(await bus.request("a", new Uint8Array(limit + 1), { timeoutMs: 50 })).toEqual({
    ok: false,
    reason: "too-large",
  });
  const withHeaders = "NATS/1.0\r\nEvent: e\r\n\r\n".length;
  expect(await bus.publish("a", new Uint8Array(limit - withHeaders), [["Event", "e"]])).toEqual({ ok: true });
  // Each publication of many has its own outcome.
  const [fits, beyond] = [new Uint8Array(1), new Uint8Array(limit + 1)];
  expect(await bus.publishAll([fits, beyond, fits].map((content) => ({ subject: "a", content })))).toEqual([
    { ok: true },
    { ok: false, reason: "too-large" },
    { ok: true },
  ]);
});

test("the bus buffers nothing while NATS is unavailable, and works after the reconnect", async () => {
  await using nats = await startNats();
  await using bus = await connect(nats);
  const got: string[] = [];
  bus.subscribe("a", (message) => got.push(Buffer.from(message.data).toString()));

  await nats.stop();
  await until("the loss is detected", () => !bus.health().alive);
  expect(await bus.publish("a", text("lost"))).toEqual({ ok: false, reason: "unavailable" });
  expect(await bus.request("a", text("lost"), { timeoutMs: 50 })).toEqual({ ok: false, reason: "unavailable" });

  await nats.restart();
  await until("publishing works again", () => bus.health().alive);
  expect(await bus.publish("a", text("kept"))).toEqual({ ok: true });
  await until("the message arrives", () => got.length > 0);
  expect(got).toEqual(["kept"]);
  expect(bus.traffic().disconnects).toBe(1);
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

test("an error in a receiver function does not end its subscription", async () => {
  await using bus = await connect(nats);
  const got: string[] = [];
  bus.subscribe("a", (message) => {
    got.push(Buffer.from(message.data).toString());
    throw new Error("a subscriber's own");
  });

  for (const content of ["1", "2"]) expect(await bus.publish("a", text(content))).toEqual({ ok: true });

  await until("both messages arrive", () => got.length === 2);
  expect(bus.health().alive).toBe(true);
});

test("the bus uses credentials, and retries when NATS refuses them", async () => {
  await using nats = await startNats(["--user", "app", "--pass", "s3cret"]);
  const bus = await connect(nats, { credentials: { kind: "user", user: "app", password: "s3cret" } });
  expect(await bus.publish("a", text("x"))).toEqual({ ok: true });
  await bus.stop();

  const waiting = startNatsBus({
    config: { servers: [nats.url], prefix: "fanwire", credentials: { kind: "token", token: "wrong" }, tls: undefined },
    name: "test",
    log,
    signal: AbortSignal.timeout(1_500),
  });
  await expect(waiting).rejects.toThrow(/abort|timeout/i);
});

test("a bus connects when NATS starts later", async () => {
  await using nats = await startNats();
  await nats.stop();

  const connecting = connect(nats);
  await nats.restart();

  const bus = await connecting;
  await until("the bus is connected", () => bus.health().alive);
  await bus.stop();
});

test("a publication that NATS permissions forbid is reported as forbidden", async () => {
  const config =
    'authorization { users: [{ user: u, password: p, permissions: { publish: ["fine.>", "_INBOX.>"], subscribe: ">" } }] }';
  await using nats = await startNats([], { config });
  const bus = await connect(nats, { credentials: { kind: "user", user: "u", password: "p" } });

  const outcomes = await Promise.all(
    ["fine.a", "secret.a", "fine.b"].map((subject) => bus.publish(subject, text("x"))),
  );

  expect(outcomes).toEqual([{ ok: true }, { ok: false, reason: "forbidden" }, { ok: true }]);
  expect(await bus.request("secret.b", text("x"), { timeoutMs: 500 })).toEqual({ ok: false, reason: "forbidden" });
  expect(await bus.gather("secret.c", text("x"), { maxWaitMs: 500 })).toEqual({ ok: false, reason: "forbidden" });
  await bus.stop();
});

test("subscribe() accepts a receiver object as well as a function", async () => {
  await using bus = await connect(nats);
  const received: string[] = [];
  const receiverOf = (subscribed: string) => ({
    subscribed,
    receive(message: BusMessage) {
      received.push(`${this.subscribed} ${message.subject}`);
    },
  });
  const [exact] = ["a.b", "a.*", "c"].map((subject) => bus.subscribe(subject, receiverOf(subject)));
  await bus.publish("a.b", text("1"));
  await until("both receivers get the message", () => received.length === 2);
  expect(received.sort()).toEqual(["a.* a.b", "a.b a.b"]);

  exact?.unsubscribe();
  for (const subject of ["a.b", "c"]) await bus.publish(subject, text("2"));

  await until("the other receivers get the message", () => received.length === 4);
  expect(received.slice(2)).toEqual(["a.* a.b", "c c"]);
  await bus.stop(); // a second stop, at the end of the test, must do nothing
  expect(() => bus.subscribe("d", receiverOf("d"))).toThrow();
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
