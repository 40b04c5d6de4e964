import { type CloseCode, formatPosition, headerNames, type Position } from "@fanwire/protocol";
import { expect, onTestFinished, test, vi } from "vitest";
import { busMessage } from "../bus-message.testing.ts";
import type { Connection } from "../connections/connection.ts";
import { newCounters } from "../connections/counters.ts";
import { MemoryBudget } from "../connections/memory-budget.ts";
import { Backlog, type Reader } from "../hub/live-backlog.ts";
import type { Received, SharedSubscription } from "../hub/shared-subscription.ts";
import { TimeSlices } from "../pacing/time-slices.ts";
import type { Publication } from "../wire/publication.ts";
import { Recovery, type RecoveryRequest } from "./recovery.ts";
import type { RecoveryOutcome } from "./recovery-outcome.ts";

const at = (sequence: number, epoch = "e"): Position => ({ epoch, sequence });

/** A worker with one connection, which subscribes to one topic. Everything that no test here needs is missing. */
function openWorker() {
  const budget = new MemoryBudget(10_000_000);
  const sent: string[] = [];
  const live: SharedSubscription[] = [];
  const ended: number[] = [];
  /** Limits at which the client was disconnected. */
  const dropped: string[] = [];
  /** Receipts whose outcome is known, with the number of frames that were sent before. */
  const settled: string[] = [];
  const onSend = { do() {} };
  /** How often the recovery has looked whether the client is still connected. */
  const looks = { count: 0 };
  /** While it is true, the client reads nothing. */
  const socket = { isFull: false, unsentBytes: (): number => (socket.isFull ? 1_000 : 0) };
  const frontier = { position: at(5) };
  const encode = ({ content, text: { since } }: Publication) =>
    Buffer.concat([content, Buffer.from(since === undefined ? "" : ` since ${since}`)]);
  const encoding = { frames: "single", encode };
  const state = { connectionId: 1, protocol: { encodingOf: () => encoding } };
  const connection = {
    getUserData: () => state,
    getBufferedAmount: () => socket.unsentBytes(),
    send: (content: Uint8Array) => {
      sent.push(Buffer.from(content).toString());
      onSend.do();
    },
  } as unknown as Connection;
  const newSubscription = (tag: string) => {
    const backlog = new Backlog<Received>((evict) => budget.open(evict));
    const leaveBacklog = (reader: Reader) => backlog.removeReader(reader);
    const names = { key: "", tag, topicOf: () => undefined };
    return { ...names, backlog, isConfirmed: true, leaveBacklog } as unknown as SharedSubscription;
  };
  const [subscription, other] = [newSubscription("0000000001"), newSubscription("0000000002")];
  const hub = {
    frontier,
    connection: () => {
      looks.count++;
      return connection;
    },
    end: (_: Connection, { code }: CloseCode) => void ended.push(code),
    drop: (_: Connection, limit: string) => void dropped.push(limit),
    flushTo() {},
    receipts: {
      countWaiting: (id: string, _: Reader, outcome: string) =>
        void settled.push(`${id} ${outcome} after ${sent.length}`),
    },
    startDelivery: (_: Connection, own: SharedSubscription) => void live.push(own),
    startDeliveryWhenLive(_connection: Connection, _subscription: SharedSubscription) {},
    onUnsubscribe(_connection: Connection, _subscription: SharedSubscription) {},
    onceWelcomed(_connection: Connection, _send: () => void) {},
  };
  const stored = (sequence: number) => ({ sequence, subject: "", content: Buffer.from(`replayed ${sequence}`) });
  const description = { epoch: "e", firstSequence: 1, lastSequence: 5, maxPerSubject: 10 };
  const page = { ok: true, publications: [stored(4), stored(5)], through: 5, isEnd: true, history: description };
  const history = {
    read: vi.fn(async () => page),
    missing: async () => ({ ok: true, reason: undefined }),
    state: vi.fn(async (): Promise<object> => ({ ok: false })),
  };
  const subjects = { historyOf: () => "", liveOf: () => "" };
  const bus = { confirm: async () => true, health: () => ({ alive: true }) };
  const parts = { hub, budget, bus, history, subjects, workerId: "abcd1234", unsentLimit: 1_000 };
  const more = {
    counters: newCounters(),
    slices: new TimeSlices(),
    traces: {},
    log: { warn() {}, info() {}, error() {} },
  };
  const recovery = new Recovery({ ...parts, ...more } as unknown as ConstructorParameters<typeof Recovery>[0]);
  onTestFinished(() => recovery.stop());
  const outcomes: RecoveryOutcome[] = [];
  const onOutcome = (outcome: RecoveryOutcome) => void outcomes.push(outcome);
  const request = { connection, subscriptions: [subscription], since: "e-3", kind: "connection", onOutcome } as const;
  /** Resumes from a position before the end of the history, unless the test has another request. */
  const resume = (options: Partial<RecoveryRequest> = {}) => recovery.start({ ...request, ...options });
  const store = (sequence: number, epoch?: string, to = subscription) => {
    frontier.position = at(sequence, epoch);
    const message = busMessage(`stored ${sequence}`, { [headerNames.receipt]: `${sequence}` });
    to.backlog.push({ message, position: frontier.position, arrival: sequence }, 1);
  };
  const worker = { connection, subscription, other, hub, history, budget, store, resume };
  return { ...worker, sent, onSend, socket, live, ended, dropped, looks, settled, outcomes };
}

test.each([
  ["what it missed", false, at(7), ["stored 8"], ["6 not-received", "7 not-received", "8 received"]],
  ["a cached event", true, at(5), ["stored 6", "stored 7", "stored 8"], ["6 received", "7 received", "8 received"]],
])("a client to which %s cannot be replayed receives everything after the position in its outcome", async (...row) => {
  const [, isCache, position, received, receipts] = row;
  const { store, resume, sent, live, settled, outcomes } = openWorker();
  const since = async () => {
    store(6);
    await undefined;
    store(7);
    return "not a position";
  };
  const onOutcome = (outcome: RecoveryOutcome) => {
    outcomes.push(outcome);
    store(8);
  };

  resume({ since, isCache, onOutcome });
  await expect.poll(() => live.length).toBe(1);

  expect(outcomes).toEqual([{ recovered: false, reason: "malformed", position: formatPosition(position) }]);
  expect(sent).toEqual(received);
  expect(settled).toEqual(receipts.map((receipt) => `${receipt} after ${sent.length}`));
});

test.each([
  ["e-3", ["replayed 4", "replayed 5", "stored 6"], "4 received"],
  ["e-3.0000000000", ["replayed 4", "replayed 5", "stored 6"], "4 received"],
  ["e-3.0000000001", ["replayed 5", "stored 6"], "4 not-received"],
])("a receipt counts what a client at %s receives by a replay, or after it", async (since, expected, ofFourth) => {
  const { resume, store, sent, onSend, live, settled } = openWorker();
  onSend.do = () => {
    if (sent.length === 1) for (const sequence of [2, 3, 4, 5, 6]) store(sequence);
  };

  resume({ since });
  await expect.poll(() => live.length).toBe(1);

  expect(sent).toEqual(expected);
  const outcomes = ["2 not-received", "3 not-received", ofFourth, "5 received", "6 received"];
  expect(settled).toEqual(outcomes.map((outcome) => `${outcome} after ${sent.length}`));
});

test("a client that unsubscribes during a replay receives nothing of it afterwards, and receipts are uncertain about it", async () => {
  const { resume, connection, subscription, hub, store, sent, onSend, settled } = openWorker();
  onSend.do = () => {
    for (const sequence of [3, 5, 6]) store(sequence);
    hub.onUnsubscribe(connection, subscription);
  };

  resume({ kind: "subscription" });
  const [reader] = subscription.backlog.readers;
  await vi.waitUntil(() => reader?.hasLeft);

  expect(sent).toEqual(["replayed 4 since e-4"]);
  expect(settled).toEqual(["3 not-received after 1", "5 unknown after 1", "6 not-received after 1"]);
});

test("later publications do not wait for a client that unsubscribes while it reads nothing of its replay", async () => {
  const { resume, connection, subscription, hub, sent, onSend, socket } = openWorker();
  onSend.do = () => {
    socket.isFull = true;
  };
  resume();
  await expect.poll(() => sent).toEqual(["replayed 4"]);
  const [reader] = subscription.backlog.readers;

  hub.onUnsubscribe(connection, subscription);

  expect([...subscription.backlog.readers]).toEqual([]);
  // It is not known yet whether it receives what was published before.
  expect(reader?.hasLeft).toBe(false);
  socket.isFull = false;
  await vi.waitUntil(() => reader?.hasLeft);
});

test("a client whose replay is evicted while it is read is disconnected, so that it resumes", async () => {
  const { resume, history, budget, dropped, outcomes } = openWorker();
  const page = await history.read();
  history.read.mockImplementationOnce(async () => ({ ...page, isEnd: false }));
  history.read.mockImplementationOnce(async () => {
    budget.evictFor(budget.open(() => {}));
    return page;
  });

  resume();

  await expect.poll(() => dropped).toEqual(["memory-budget"]);
  expect(outcomes).toEqual([]);
});

test("a client that is ahead of its worker asks for the history less and less often", async () => {
  const { resume, history } = openWorker();
  const ahead = { epoch: "e", firstSequence: 1, lastSequence: 8, maxPerSubject: 10 };
  history.state.mockImplementation(async () => ({ ok: true, history: ahead, hasCopies: false }));

  resume({ since: "e-8" });
  await new Promise((resolve) => setTimeout(resolve, 1_000));

  expect(history.state.mock.calls.length).toBeGreaterThan(3);
  expect(history.state.mock.calls.length).toBeLessThan(20);
});

test("no receipt counts a client that unsubscribes while the publication is sent to it", async () => {
  const { resume, connection, subscription, hub, store, sent, onSend, settled } = openWorker();
  onSend.do = () => {
    if (sent.length === 1) store(6);
    if (sent.length === 3) hub.onUnsubscribe(connection, subscription);
  };

  resume();
  await expect.poll(() => settled).toEqual(["6 unknown after 3"]);
});

/** Resumes from a position that the worker has not reached, and skips the ten seconds for which the worker tries. */
async function resumeAhead() {
  const worker = openWorker();
  const { resume, outcomes } = worker;
  const now = performance.now.bind(performance);
  let skippedMs = 0;
  const clock = vi.spyOn(performance, "now").mockImplementation(() => {
    skippedMs += 1_000;
    return now() + skippedMs;
  });
  resume({ since: "e-8" });
  await expect.poll(() => outcomes.length).toBe(1);
  expect(outcomes).toEqual([{ recovered: false, reason: "unreadable", position: "e-8" }]);
  return { ...worker, clock };
}

test("a client that is ahead of its worker, which cannot read the history, receives nothing that it has", async () => {
  const { store, sent, live, clock, looks } = await resumeAhead();
  clock.mockRestore();
  for (const sequence of [6, 7]) store(sequence);
  const seen = looks.count;
  await expect.poll(() => looks.count).toBeGreaterThan(seen + 1);
  expect([sent, live]).toEqual([[], []]);

  for (const sequence of [8, 9]) store(sequence);
  await expect.poll(() => live.length).toBe(1);

  expect(sent).toEqual(["stored 9"]);
});

test("a client is asked to reconnect when its worker stays behind it", async () => {
  const { sent, live, ended } = await resumeAhead();

  await expect.poll(() => ended, { timeout: 10_000 }).toEqual([4503]);

  expect([sent, live]).toEqual([[], []]);
});

test("a client in a replay receives what a recreated history stores, whose sequences are lower", async () => {
  const { resume, store, sent, onSend, live } = openWorker();
  onSend.do = () => {
    if (sent.length === 1) store(1, "f");
  };

  resume();
  await expect.poll(() => live.length).toBe(1);

  expect(sent).toEqual(["replayed 4", "replayed 5", "stored 1"]);
});

test.each([
  ["slowly", 50, [], ["replayed 4", "replayed 5"]],
  ["nothing", 0, ["unsent-bytes"], []],
])("of two clients that take longer than 20 s for a replay, the one that reads %s has this end", async (...row) => {
  const [, readBytes, drops, received] = row;
  const { resume, sent, socket, live, dropped } = openWorker();
  let now = performance.now();
  vi.spyOn(performance, "now").mockImplementation(() => now);
  let unsent = 1_000;
  socket.unsentBytes = () => {
    now += 15_000;
    unsent -= readBytes;
    return unsent;
  };

  resume();
  await expect.poll(() => live.length + dropped.length).toBe(1);

  expect([dropped, sent]).toEqual([drops, received]);
});

test.each(["client", "application"])(
  "a %s that subscribes during the first replay does not move the position past it",
  async (by) => {
    const { resume, connection, subscription, other, hub, store, sent, onSend, socket, live } = openWorker();
    onSend.do = () => {
      socket.isFull = sent.length === 1;
    };
    resume();
    await expect.poll(() => sent).toEqual(["replayed 4"]);

    if (by === "application") hub.startDeliveryWhenLive(connection, other);
    else resume({ subscriptions: [other], since: undefined, kind: "subscription" });
    // The application's subscription has no outcome.
    await new Promise((resolve) => setTimeout(resolve, 50));
    store(6, "e", other);
    expect(live).toEqual([]);
    socket.isFull = false;
    await expect.poll(() => live.length).toBe(2);

    expect(live).toEqual([subscription, other]);
    expect([...sent].sort()).toEqual(["replayed 4", "replayed 5", "stored 6 since e-6"]);
  },
);

test("a connection that the application subscribes during the first replay receives what is stored from then on", async () => {
  const { resume, connection, other, hub, store, sent, onSend, live } = openWorker();
  onSend.do = () => {
    if (sent.length !== 1) return;
    hub.startDeliveryWhenLive(connection, other);
    // Before NATS has confirmed the subscription.
    store(6, "e", other);
  };

  resume();
  await expect.poll(() => live.length).toBe(2);

  expect([...sent].sort()).toEqual(["replayed 4", "replayed 5", "stored 6 since e-6"]);
});

test("a message that the application causes before the welcome is sent after it, and a later one at once", async () => {
  const { resume, connection, hub, sent, live } = openWorker();

  resume({ onOutcome: () => void sent.push("welcome") });
  hub.onceWelcomed(connection, () => sent.push("unsubscribed"));
  expect(sent).toEqual([]);
  await expect.poll(() => live.length).toBe(1);
  hub.onceWelcomed(connection, () => sent.push("again"));

  expect(sent).toEqual(["welcome", "unsubscribed", "replayed 4", "replayed 5", "again"]);
});
