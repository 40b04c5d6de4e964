import fc from "fast-check";
import { expect, test } from "vitest";
import { isName } from "./names.ts";
import { DEFAULT_PREFIX, isPrefix, Subjects } from "./subjects.ts";
import type { Target } from "./target.ts";
import { isTopic, isTopicPattern } from "./topics.ts";

const subjects = new Subjects(DEFAULT_PREFIX);

const text = fc.string({
  unit: fc.oneof(fc.constantFrom(".", "*", ">", "=", " "), fc.string({ unit: "binary", minLength: 1, maxLength: 1 })),
  maxLength: 40,
});
const target: fc.Arbitrary<Target> = fc.oneof(
  fc.constant<Target>({ kind: "everyone" }),
  text.filter(isTopic).map((topic): Target => ({ kind: "topic", topic })),
  text.filter(isName).map((user): Target => ({ kind: "user", user })),
  fc
    .record({
      workerId: fc.stringMatching(/^([a-z][a-z0-9]{7}|0|[1-9][0-9]{0,8})$/),
      connectionId: fc.integer({ min: 1 }),
    })
    .map((connection): Target => ({ kind: "connection", connection })),
);

const unhashed = () => {
  throw new Error("too short to be hashed");
};
const latin1 = (name: string) => Buffer.from(name).toString("latin1");

test("no topic leads an event out of its branch, or into another event", () => {
  expect(subjects.storedEvent({ name: "topic_occupied", topic: "a.b" })).toBe(
    "fanwire.webhooks.events.topic_occupied.a.b",
  );
  const opened = { name: "connection_opened", connection: "abcd1234.7" };
  expect(subjects.storedEvent(opened)).toBe("fanwire.webhooks.events.connection_opened.abcd1234.7");
  expect(subjects.isDeadEvent(subjects.deadEvent("app 1"))).toBe(true);

  fc.assert(
    fc.property(text.filter(isTopic), text.filter(isTopic), (one, other) => {
      const [first, second] = [one, other].map((topic) => subjects.storedEvent({ name: "topic_occupied", topic }));
      expect(first).toMatch(/^fanwire\.webhooks\.events\.topic_occupied(\.[A-Za-z0-9_=-]+)+$/);
      expect(first === second).toBe(one === other);
    }),
  );
});

test("the subjects are those of the design", () => {
  const connection = { workerId: "abcd1234", connectionId: 7 };

  expect(subjects.live({ kind: "everyone" })).toBe("fanwire.live.all");
  expect(subjects.history({ kind: "everyone" })).toBe("fanwire.history.all");
  expect(subjects.live({ kind: "topic", topic: "orders.7" })).toBe("fanwire.live.topic.orders.7");
  expect(subjects.history({ kind: "user", user: "анна" })).toBe("fanwire.history.user.=D0=B0=D0=BD=D0=BD=D0=B0");
  expect(subjects.live({ kind: "connection", connection })).toBe("fanwire.live.connection.abcd1234.7");
  expect(subjects.liveConnections("abcd1234")).toBe("fanwire.live.connection.abcd1234.*");
  expect(subjects.liveTopics("orders.*.>")).toBe("fanwire.live.topic.orders.*.>");
  expect(subjects.worker("abcd1234")).toBe("fanwire.control.worker.abcd1234");
  expect(subjects.allWorkers).toBe("fanwire.control.workers");
  expect(subjects.channel("queue", "a b", unhashed)).toBe("fanwire.channel.queue.a=20b");
  expect(subjects.channel("event", latin1("вещание"), unhashed)).toBe(
    "fanwire.channel.event.=D0=B2=D0=B5=D1=89=D0=B0=D0=BD=D0=B8=D0=B5",
  );
  expect(subjects.channel("loop", "", unhashed)).toBe("fanwire.channel.loop.=");
  expect(subjects.channelQueues).toBe("fanwire.channel.queue.>");
  const { everything, announcements, channelQueueStream, lastStream } = new Subjects("a.b");
  expect([everything, announcements]).toEqual(["a.b.>", "a.b.control.announcements"]);
  expect([channelQueueStream, lastStream]).toEqual(["A_B_CHANNEL_QUEUES", "A_B_HISTORY_LAST"]);
});

test("a prefix is one or more plain tokens of at most 100 characters together", () => {
  for (const prefix of ["a", "a.b.c", "x".repeat(100)]) expect(isPrefix(prefix), prefix).toBe(true);
  for (const text of ["", ".", "a.", ".a", "a..b", "a b", "a.*", ">", "щ", "x".repeat(101)]) {
    expect(isPrefix(text), text).toBe(false);
    expect(() => new Subjects(text)).toThrow(new RangeError(`not a subject prefix: ${JSON.stringify(text)}`));
  }
});

test("a channel is hashed if its token would be longer than 200 characters", () => {
  const token = (name: string) => subjects.channel("event", name, () => "hash").slice("fanwire.channel.event.".length);

  expect(token("x".repeat(200))).toBe("x".repeat(200));
  expect(token("x".repeat(201))).toBe("==hash");
  expect(token(` ${"x".repeat(197)}`)).toBe(`=20${"x".repeat(197)}`);
  expect(token(` ${"x".repeat(198)}`)).toBe("==hash");
});

test("the subject of any target is in the branch of its kind, has no wildcard, and parses to the target", () => {
  fc.assert(
    fc.property(target, (wanted) => {
      const subject = subjects.live(wanted);
      const branch = wanted.kind === "everyone" ? "all" : `${wanted.kind}.`;

      expect(subjects.parseLive(subject)).toEqual(wanted);
      expect(subject.startsWith(`fanwire.live.${branch}`)).toBe(true);
      for (const token of subject.split(".")) expect(token).toMatch(/^[A-Za-z0-9_=-]+$/);
    }),
    { numRuns: 10_000 },
  );
});

test("the history's subjects, stream and filters are those of the design", () => {
  expect(subjects.historyStream).toBe("FANWIRE_HISTORY");
  expect(new Subjects("acme.prod-1").historyStream).toBe("ACME_PROD-1_HISTORY");
  expect(subjects.allHistory).toBe("fanwire.history.>");
  expect(subjects.allLive).toBe("fanwire.live.>");
  expect(subjects.historyFilter({ kind: "everyone" })).toBe("fanwire.history.all");
  expect(subjects.historyFilter({ kind: "topic", topic: "orders.*.>" })).toBe("fanwire.history.topic.orders.*.>");
  expect(subjects.historyFilter({ kind: "topic", topic: "a b" })).toBe("fanwire.history.topic.a=20b");
  expect(subjects.historyFilter({ kind: "user", user: "*" })).toBe("fanwire.history.user.=2A");
});

test("any durable target round-trips through its history subject, which is its live subject in another branch", () => {
  fc.assert(
    fc.property(target, (wanted) => {
      fc.pre(wanted.kind !== "connection");
      const subject = subjects.history(wanted);

      expect(subjects.parseHistory(subject)).toEqual(wanted);
      expect(subjects.liveOf(subject)).toBe(subjects.live(wanted));
      expect(subjects.historyOf(subjects.live(wanted))).toBe(subject);
      expect(subjects.historyFilter(wanted)).toBe(subject);
    }),
    { numRuns: 10_000 },
  );
});

test("subjects outside of the history have no history subject", () => {
  for (const subject of ["history.connection.abcd1234.1", "history.", "history.topic.*", "live.all"])
    expect(subjects.parseHistory(`fanwire.${subject}`), subject).toBeUndefined();
  expect(subjects.liveOf("fanwire.live.all")).toBeUndefined();
  expect(subjects.historyOf("other.live.all")).toBeUndefined();
});

test("any pattern round-trips through a subject below the topics, which has no wildcards except its own", () => {
  fc.assert(
    fc.property(text.filter(isTopicPattern), (pattern) => {
      const subject = subjects.liveTopics(pattern);
      const tokens = subject.split(".");

      expect(subjects.parseLiveTopics(subject)).toBe(pattern);
      expect(tokens.slice(0, 3)).toEqual(["fanwire", "live", "topic"]);
      const wildcards = pattern.split(".").map((token) => (token === "*" || token === ">" ? token : ""));
      expect(tokens.slice(3).map((token) => (token === "*" || token === ">" ? token : ""))).toEqual(wildcards);
    }),
    { numRuns: 10_000 },
  );
});

const bytes = fc.uint8Array({ maxLength: 400 }).map((array) => Buffer.from(array).toString("latin1"));

/** Not a good hash, but two of our names never meet in it. */
const hash = (name: string) => `h${name.length}x${Buffer.from(name, "latin1").toString("hex").slice(0, 90)}`;

test("a channel name of any bytes and length is one short token", () => {
  fc.assert(
    fc.property(bytes, fc.constantFrom("event" as const, "loop" as const, "queue" as const), (name, kind) => {
      const subject = subjects.channel(kind, name, hash);

      expect(subject).toMatch(new RegExp(`^fanwire\\.channel\\.${kind}\\.[A-Za-z0-9_=-]{1,200}$`));
    }),
    { numRuns: 10_000 },
  );
});

test("two channel names never share a subject, hashed or not", () => {
  fc.assert(
    fc.property(bytes, bytes, (one, other) => {
      fc.pre(one !== other && (one.length < 60 || one.length !== other.length));
      expect(subjects.channel("event", one, hash)).not.toBe(subjects.channel("event", other, hash));
    }),
    { numRuns: 10_000 },
  );
  expect(subjects.channel("event", "==ab12", hash)).not.toBe(subjects.channel("event", "x".repeat(201), () => "ab12"));
});

test("a subject that no pattern builds is refused", () => {
  for (const subject of ["all", "topic.", "topic.>.a", "topic.=2A"])
    expect(subjects.parseLiveTopics(`fanwire.live.${subject}`), subject).toBeUndefined();
});

test("a subject that no target builds is refused", () => {
  const others = [
    "fanwire.live",
    "fanwire.live.",
    "fanwire.live.all.x",
    "fanwire.live.topic",
    "fanwire.live.topic.",
    "fanwire.live.topic.*",
    "fanwire.live.topic.=2A",
    "fanwire.live.topic.a=2Eb",
    "fanwire.live.user.=",
    "fanwire.live.user.a.b",
    "fanwire.live.connection.abcd1234.0",
    "fanwire.live.connection.abcd1234.01",
    "fanwire.live.connection.1bcd1234.1",
    "fanwire.live.connection.01.1",
    "fanwire.live.connection.-1.1",
    "fanwire.history.all",
    "other.live.all",
  ];
  for (const subject of others) expect(subjects.parseLive(subject), subject).toBeUndefined();
});

test("an invented subject parses to a target only if that target builds it", () => {
  const tokens = fc.oneof(
    fc.constantFrom("all", "topic", "user", "connection", "*", ">", "", "=2A", "abcd1234", "7"),
    text,
  );
  const subject = fc.array(tokens, { maxLength: 5 }).map((each) => ["fanwire", "live", ...each].join("."));

  fc.assert(
    fc.property(subject, (made) => {
      const parsed = subjects.parseLive(made);
      if (parsed !== undefined) expect(subjects.live(parsed)).toBe(made);
    }),
    { numRuns: 10_000 },
  );
});

test("restricted topics have a branch of their own, and no subject of another branch is one", () => {
  const topic = (name: string) => ({ kind: "topic", topic: name }) as const;

  expect(subjects.live(topic("private-a.b"))).toBe("fanwire.live.private.private-a.b");
  expect(subjects.history(topic("presence-a"))).toBe("fanwire.history.private.presence-a");
  expect(subjects.live(topic("app/7/private-a"))).toBe("fanwire.live.private.app=2F7=2Fprivate-a");
  expect(subjects.liveTopics("private-a.*")).toBe("fanwire.live.private.private-a.*");
  expect(subjects.live(topic("app/7/orders"))).toBe("fanwire.live.topic.app=2F7=2Forders");
  expect(subjects.parseLive("fanwire.live.private.private-a.b")).toEqual(topic("private-a.b"));
  const others = ["topic.private-a", "topic.app=2F7=2Fpresence-a", "private.a", "private.*", "private", "private."];
  for (const subject of others) {
    expect(subjects.parseLive(`fanwire.live.${subject}`), subject).toBeUndefined();
    expect(subjects.parseLiveTopics(`fanwire.live.${subject}`), subject).toBeUndefined();
  }
});

test("members of each topic are announced on a subject of their own", () => {
  expect(subjects.presence("room.1")).toBe("fanwire.presence.topic.room.1");
  expect(subjects.presence("private-room")).toBe("fanwire.presence.private.private-room");
  expect(subjects.presence("app/7/presence-a")).toBe("fanwire.presence.private.app=2F7=2Fpresence-a");
  expect(subjects.presence("workers")).not.toBe(subjects.presenceWorkers);
  expect(subjects.presenceWorker("abcd1234")).toBe("fanwire.presence.worker.abcd1234");
  fc.assert(
    fc.property(text.filter(isTopic), text.filter(isTopic), (one, other) => {
      expect(subjects.presence(one) === subjects.presence(other)).toBe(one === other);
    }),
  );
});
