import { type Position, Subjects } from "@fanwire/protocol";
import { createLog } from "@fanwire/service";
import { JetStreamApiCodes, JetStreamApiError, type JetStreamManager } from "@nats-io/jetstream";
import { errors } from "@nats-io/transport-node";
import { afterEach, expect, test, vi } from "vitest";
import { HeaderBlock } from "../connection/header-block.ts";
import { LastPublications } from "./last-publications.ts";

const subjects = new Subjects();
const QUESTION = { filter: "fanwire.history.all", since: { epoch: "e", sequence: 5 }, firstSequence: 8 };

afterEach(() => {
  vi.useRealTimers();
});

/** A history with an epoch, and a stream of last publications that is behind it by `lag`. */
function openLast() {
  vi.useFakeTimers({ toFake: ["performance"] });
  const state = { lag: 0, lastSequence: 9, created: 1, messages: 9 };
  const limits = { max_bytes: -1, max_msgs: -1, max_age: 0, max_msgs_per_subject: 4 };
  const description = "The last publications of each subject of the history e";
  const created: { description: string; sources: object[] }[] = [
    { ...limits, description, sources: [{ name: "FANWIRE_HISTORY" }] },
  ];
  /** The end of the history. */
  const end: { current: Position | undefined } = { current: { epoch: "e", sequence: 20 } };
  const streams = {
    info: vi.fn(
      async (): Promise<object> => ({
        created: String(state.created),
        config: created.at(-1),
        state: { messages: state.messages, last_seq: state.lastSequence },
        sources: [{ name: "FANWIRE_HISTORY", lag: state.lag }],
      }),
    ),
    delete: async () => true,
    add: async (config: { description: string; sources: object[] }) => {
      created.push(config);
      state.created++;
    },
  };
  const headers = new HeaderBlock(Buffer.from("NATS/1.0\r\nNats-Stream-Source: FANWIRE_HISTORY 9\r\n\r\n"));
  const newest = { sequence: 9, subject: "fanwire.history.all", content: Buffer.alloc(0), time: new Date(), headers };
  const pages = { isAway: false };
  const last = new LastPublications({
    jsm: { streams } as unknown as JetStreamManager, // the members that it uses
    subjects,
    replicas: 1,
    log: createLog("test", "silent"),
    message: async (query) => ("seq" in query && query.seq > newest.sequence ? null : newest),
    // Sequence 10 is no longer stored.
    next: async (sequence) => ({ sequence: sequence + 1 }),
    end: async () => end.current,
    page: async () => (pages.isAway ? [] : [newest]),
  });
  const checkLater = async () => {
    vi.advanceTimersByTime(61_000);
    await last.ensure({ epoch: "e" });
  };
  return { last, state, created, streams, end, pages, checkLater };
}

test("a stream of last publications that stalls begins again behind the publication that it does not pass", async () => {
  const { state, created, checkLater } = openLast();
  state.lag = 5;

  await checkLater();
  expect(created).toHaveLength(1);
  await checkLater();

  expect(created).toHaveLength(2);
  expect(created[1]?.sources).toEqual([{ name: "FANWIRE_HISTORY", opt_start_seq: 12 }]);
});

test("the newest recorded position has the epoch of the stream, also before a publication has come from the history", async () => {
  const { last, state } = openLast();

  expect(await last.newest()).toEqual({ epoch: "e", sequence: 9 });
  state.messages = 0;
  expect(await last.newest()).toEqual({ epoch: "e", sequence: 0 });
});

test("a stream of last publications that catches up, or is behind again after a pause, is kept", async () => {
  const { state, created, checkLater } = openLast();
  for (const [lag, lastSequence] of [
    [5, 9],
    [5, 10],
    [0, 15],
    [0, 15],
    [1, 15],
    [0, 16],
  ] as const) {
    Object.assign(state, { lag, lastSequence });
    await checkLater();
  }

  expect(created).toHaveLength(1);
});

test("whether something was dropped is unknown while the stream has no leader, and known once it has", async () => {
  const { last, streams, end, state } = openLast();
  await last.ensure({ epoch: "e" });
  const isProved = () => {
    vi.advanceTimersByTime(1_000);
    return last.droppedNothing(QUESTION);
  };
  expect(await isProved()).toBe(true);

  streams.info.mockRejectedValueOnce(new Error("timeout"));
  expect(await isProved()).toBeUndefined();
  const history = end.current;
  end.current = undefined;
  expect(await isProved()).toBeUndefined();
  end.current = history;
  // Another leader is elected during the proof.
  const first = await streams.info();
  streams.info.mockResolvedValueOnce({ ...first, cluster: { leader: "other", replicas: [] } });
  expect(await isProved()).toBeUndefined();

  expect(await isProved()).toBe(true);
  state.messages = 0;
  expect(await isProved()).toBe(false);
  const missing = { code: 404, err_code: JetStreamApiCodes.StreamNotFound, description: "stream not found" };
  streams.info.mockRejectedValueOnce(new JetStreamApiError(missing));
  expect(await isProved()).toBe(false);
});

test("whether something was dropped is unknown while the stream cannot be checked", async () => {
  const { last, streams } = openLast();
  streams.info.mockRejectedValue(new errors.TimeoutError());

  await last.ensure({ epoch: "e" });
  expect(await last.droppedNothing(QUESTION)).toBeUndefined();

  // It is not a moment any more.
  vi.advanceTimersByTime(16_000);
  await last.ensure({ epoch: "e" });
  expect(await last.droppedNothing(QUESTION)).toBe(false);
});

test("new publications are read again while the stream is behind the history or has no leader", async () => {
  const { last, streams, pages } = openLast();
  const since = { epoch: "e", sequence: 5 };
  streams.info.mockRejectedValueOnce(new Error("no leader"));
  pages.isAway = true;

  const reading = last.newsSince({ since, firstSequence: 1, upTo: 9 });
  await vi.waitFor(() => expect(streams.info.mock.calls.length).toBeGreaterThan(2));
  pages.isAway = false;

  const bySubject = new Map([["fanwire.history.all", { count: 1, isDropped: false }]]);
  expect(await reading).toEqual({ bySubject, through: 9 });
  const late = last.newsSince({ since, firstSequence: 1, upTo: 10 });
  vi.advanceTimersByTime(6_000);
  expect(await late).toBeUndefined();
});
