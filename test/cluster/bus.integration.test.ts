import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { type BusConfig, type BusMessage, type NatsBus, startNatsBus } from "@fanwire/bus";
import { createLog } from "@fanwire/service";
import { expect, test, vi } from "vitest";
import { startNats, type TestNats } from "../support/nats.ts";
import { until } from "../support/wait.ts";

const log = createLog("test", "silent");
const text = (content: string) => Buffer.from(content);

function connect(nats: Pick<TestNats, "url">, config: Partial<BusConfig> = {}): Promise<NatsBus> {
  return startNatsBus({
    config: { servers: [nats.url], prefix: "fanwire", credentials: { kind: "none" }, tls: undefined, ...config },
    name: "test",
    log,
    signal: AbortSignal.timeout(20_000),
  });
}

test("a confirmed publication has reached the server, in order, headers included", async () => {
  await using nats = await startNats();
  const [publisher, reader] = await Promise.all([connect(nats), connect(nats)]);
  const got: [string, string | undefined][] = [];
  reader.subscribe("a.*", (message) => got.push([Buffer.from(message.data).toString(), message.headers?.get("Event")]));
  await reader.publish("flush", text(""));

  const outcomes = await Promise.all(
    Array.from({ length: 500 }, (_, at) => publisher.publish("a.b", text(String(at)), [["Event", `e${at}`]])),
  );

  expect(outcomes.every(({ ok }) => ok)).toBe(true);
  await until("all arrived", () => got.length === 500);
  expect(got).toEqual(Array.from({ length: 500 }, (_, at) => [String(at), `e${at}`]));
  await Promise.all([publisher.stop(), reader.stop(), reader.stop()]);
});

test("requests do not overtake what was published before them in the same turn", async () => {
  await using nats = await startNats();
  const [publisher, reader] = await Promise.all([connect(nats), connect(nats)]);
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
  await until("all arrived", () => got.length === 6);
  expect(got).toEqual(["1", "2", "3", "4", "5", "6"]);
  await Promise.all([publisher.stop(), reader.stop()]);
});

test("what is sent without waiting arrives in order with what is published, and a confirmation covers it", async () => {
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
  await until("all arrived", () => got.length === 4);
  expect(got).toEqual(["1", "2", "3", "4"]);
  expect(publisher.send("a", new Uint8Array(publisher.maxPayloadBytes() + 1))).toBe("too-large");

  await nats.stop();
  await until("the loss is noticed", () => !publisher.health().alive);
  expect(publisher.send("a", text("lost"))).toBe("unavailable");
  expect(await publisher.confirm()).toBe(false);
  await Promise.all([publisher.stop(), reader.stop()]);
  expect(publisher.send("a", text("too late"))).toBe("unavailable");
});

test("publications with and without headers, and subscriptions between them, keep their order", async () => {
  await using nats = await startNats();
  const bus = await connect(nats);
  const got: [string, string | undefined][] = [];
  const hear = () =>
    bus.subscribe("a", (message) => got.push([Buffer.from(message.data).toString(), message.headers?.get("Event")]));

  const outcomes = [bus.publish("a", text("before anybody hears"))];
  const subscription = hear();
  outcomes.push(
    bus.publish("a", text("1")),
    bus.publish("a", text("2"), [["Event", "e"]]),
    bus.publish("a", text("3")),
  );
  subscription.unsubscribe();
  outcomes.push(bus.publish("a", text("between")));
  hear();
  outcomes.push(bus.publish("a", text("4")));

  expect(await Promise.all(outcomes)).toEqual(Array.from({ length: 6 }, () => ({ ok: true })));
  await until("the last arrived", () => got.at(-1)?.[0] === "4");
  // What was heard by a subscription that is no more is not handed on.
  expect(got).toEqual([["4", undefined]]);
  await bus.stop();
});

test("newcomers, each in a turn of its own, share confirmations, and each hears what is published after its own", async () => {
  await using nats = await startNats();
  const [bus, publisher] = await Promise.all([connect(nats), connect(nats)]);
  const pings = vi.spyOn(bus.connection, "flush");
  const heard = new Set<string>();
  const newcomers = 1_000;

  const confirmed: Promise<void>[] = [];
  for (let each = 0; each < newcomers; each++) {
    const subject = `newcomer.${each}`;
    bus.subscribe(subject, (message) => heard.add(message.subject));
    confirmed.push(
      bus.confirm().then(async (isConfirmed) => {
        expect(isConfirmed).toBe(true);
        publisher.send(subject, text(""));
      }),
    );
    await nextTurn();
  }

  await Promise.all(confirmed);
  await until("all heard theirs", () => heard.size === newcomers);
  // From ping to ping there are two turns at least.
  expect(pings.mock.calls.length).toBeLessThanOrEqual(newcomers / 2 + 2);
  await Promise.all([bus.stop(), publisher.stop()]);
});

test("of the subscriptions of a group one gets a message, each with the same chance", async () => {
  await using nats = await startNats();
  const [one, other] = await Promise.all([connect(nats), connect(nats)]);
  const counts = [0, 0, 0];
  for (const [at, bus] of [one, one, other].entries()) {
    const onMessage = () => {
      counts[at] = (counts[at] ?? 0) + 1;
    };
    bus.subscribe("g", onMessage, "group");
  }
  await Promise.all([one.confirm(), other.confirm()]);

  for (let count = 0; count < 3_000; count++) other.send("g", text("x"));

  await until("all arrived", () => counts.reduce((sum, count) => sum + count, 0) === 3_000);
  for (const count of counts) expect(Math.abs(count - 1_000)).toBeLessThan(150);
  await Promise.all([one.stop(), other.stop()]);
});

test("a request tells apart an answer, silence and nobody there", async () => {
  await using nats = await startNats();
  const bus = await connect(nats);
  bus.subscribe("answers", (message) => message.respond("yes"));
  bus.subscribe("silent", () => {});

  const answered = await bus.request("answers", text("?"), { timeoutMs: 1_000 });
  expect(answered.ok && Buffer.from(answered.message.data).toString()).toBe("yes");
  expect(await bus.request("silent", text("?"), { timeoutMs: 50 })).toEqual({ ok: false, reason: "timeout" });
  expect(await bus.request("nobody", text("?"), { timeoutMs: 1_000 })).toEqual({ ok: false, reason: "no-responders" });
  await bus.stop();
});

test("a reply with headers that nats.js cannot decode is a reply, and the connection goes on", async () => {
  await using nats = await startNats();
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
  await using nats = await startNats();
  const bus = await connect(nats);
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
  await bus.stop();
});

test("replies of many are gathered, also of none", async () => {
  await using nats = await startNats();
  const bus = await connect(nats);
  for (const answer of ["a", "b", "c"]) bus.subscribe("all", (message) => message.respond(answer));

  const gathered = await bus.gather("all", text("?"), { stallMs: 200, maxWaitMs: 1_000 });

  expect(gathered.ok && gathered.messages.map(({ data }) => Buffer.from(data).toString()).sort()).toEqual([
    "a",
    "b",
    "c",
  ]);
  expect(await bus.gather("none", text("?"), { stallMs: 50, maxWaitMs: 200 })).toEqual({ ok: true, messages: [] });
  await bus.stop();
});

test("content beyond max_payload is refused here, not by a closed connection", async () => {
  await using nats = await startNats();
  const bus = await connect(nats);
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
  // Of many, each has an outcome of its own.
  const [fits, beyond] = [new Uint8Array(1), new Uint8Array(limit + 1)];
  expect(await bus.publishAll([fits, beyond, fits].map((content) => ({ subject: "a", content })))).toEqual([
    { ok: true },
    { ok: false, reason: "too-large" },
    { ok: true },
  ]);
  await bus.stop();
});

test("while NATS is away nothing is buffered, and after it is back everything works", async () => {
  await using nats = await startNats();
  const bus = await connect(nats);
  const got: string[] = [];
  bus.subscribe("a", (message) => got.push(Buffer.from(message.data).toString()));

  await nats.stop();
  await until("the loss is noticed", () => !bus.health().alive);
  expect(await bus.publish("a", text("lost"))).toEqual({ ok: false, reason: "unavailable" });
  expect(await bus.request("a", text("lost"), { timeoutMs: 50 })).toEqual({ ok: false, reason: "unavailable" });

  await nats.restart();
  await until("it works again", () => bus.health().alive);
  expect(await bus.publish("a", text("kept"))).toEqual({ ok: true });
  await until("it arrived", () => got.length > 0);
  expect(got).toEqual(["kept"]);
  expect(bus.traffic().disconnects).toBe(1);
  await bus.stop();
});

test("a server that hangs is noticed though its socket is open, and a publication meanwhile is not called sent", async () => {
  await using nats = await startNats();
  const bus = await connect(nats);
  await until("the first probe came back", () => bus.health().alive);

  nats.signal("SIGSTOP");
  expect(await bus.publish("a", text("?"))).toEqual({ ok: false, reason: "unconfirmed" });
  await until("it is noticed", () => !bus.health().alive);
  expect(bus.health()).toEqual({ alive: false, reason: "nothing comes back from NATS" });
  expect(await bus.publish("a", text("?"))).toEqual({ ok: false, reason: "unavailable" });

  nats.signal("SIGCONT");
  await until("it recovers", () => bus.health().alive);
  await bus.stop();
});

test("an error in a subscriber ends nothing", async () => {
  await using nats = await startNats();
  const bus = await connect(nats);
  const got: string[] = [];
  bus.subscribe("a", (message) => {
    got.push(Buffer.from(message.data).toString());
    throw new Error("a subscriber's own");
  });

  for (const content of ["1", "2"]) expect(await bus.publish("a", text(content))).toEqual({ ok: true });

  await until("both arrived", () => got.length === 2);
  expect(bus.health().alive).toBe(true);
  await bus.stop();
});

test("credentials are used, and wrong ones are tried again for ever", async () => {
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

test("a bus that waits for NATS connects when it comes", async () => {
  await using nats = await startNats();
  await nats.stop();

  const connecting = connect(nats);
  await nats.restart();

  const bus = await connecting;
  await until("it is alive", () => bus.health().alive);
  await bus.stop();
});

test("what NATS forbids to publish is not called sent", async () => {
  const folder = await mkdtemp(join(tmpdir(), "fanwire-conf-"));
  const conf = join(folder, "nats.conf");
  await writeFile(
    conf,
    'authorization { users: [{ user: u, password: p, permissions: { publish: ["fine.>", "_INBOX.>"], subscribe: ">" } }] }',
  );
  await using nats = await startNats(["-c", conf]);
  const bus = await connect(nats, { credentials: { kind: "user", user: "u", password: "p" } });

  const outcomes = await Promise.all(
    ["fine.a", "secret.a", "fine.b"].map((subject) => bus.publish(subject, text("x"))),
  );

  expect(outcomes).toEqual([{ ok: true }, { ok: false, reason: "forbidden" }, { ok: true }]);
  expect(await bus.request("secret.b", text("x"), { timeoutMs: 500 })).toEqual({ ok: false, reason: "forbidden" });
  expect(await bus.gather("secret.c", text("x"), { maxWaitMs: 500 })).toEqual({ ok: false, reason: "forbidden" });
  await bus.stop();
  await rm(folder, { recursive: true });
});

test("objects may hear subjects as functions do, each its own, until it is unsubscribed", async () => {
  await using nats = await startNats();
  const bus = await connect(nats);
  const heard: string[] = [];
  const receiverOf = (subscribed: string) => ({
    subscribed,
    receive(message: BusMessage) {
      heard.push(`${this.subscribed} ${message.subject}`);
    },
  });
  const [exact] = ["a.b", "a.*", "c"].map((subject) => bus.subscribe(subject, receiverOf(subject)));
  await bus.publish("a.b", text("1"));
  await until("both heard it", () => heard.length === 2);
  expect(heard.sort()).toEqual(["a.* a.b", "a.b a.b"]);

  exact?.unsubscribe();
  for (const subject of ["a.b", "c"]) await bus.publish(subject, text("2"));

  await until("the others heard it", () => heard.length === 4);
  expect(heard.slice(2)).toEqual(["a.* a.b", "c c"]);
  await bus.stop();
  expect(() => bus.subscribe("d", receiverOf("d"))).toThrow();
});

test("a hundred thousand subscriptions are affordable: half a kilobyte each", async () => {
  await using nats = await startNats();
  const bus = await connect(nats);
  const ignore = () => {};
  const before = heapBytes();

  for (let at = 0; at < 20_000; at++) bus.subscribe(`affordable.${at}`, ignore);
  await bus.confirm();

  expect((heapBytes() - before) / 20_000).toBeLessThan(500);
  await bus.stop();
});

/** Live bytes of this process' heap. */
function heapBytes(): number {
  setFlagsFromString("--expose-gc");
  runInNewContext("gc")();
  return process.memoryUsage().heapUsed;
}
