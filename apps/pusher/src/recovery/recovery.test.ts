import type { BusMessage } from "@fanwire/bus";
import { formatPosition, type Position } from "@fanwire/protocol";
import { expect, test } from "vitest";
import type { Connection } from "../connections/connection.ts";
import { newCounters } from "../connections/counters.ts";
import { MemoryBudget } from "../connections/memory-budget.ts";
import { Backlog } from "../hub/live-backlog.ts";
import type { Received, SharedSubscription } from "../hub/shared-subscription.ts";
import { Recovery, type RecoveryOutcome } from "./recovery.ts";
import { TimeSlices } from "./time-slices.ts";

const at = (sequence: number): Position => ({ epoch: "e", sequence });

/** A worker with one connection, which subscribes to one topic. Everything that no test here needs is missing. */
function openWorker() {
  const budget = new MemoryBudget(1_000);
  const backlog = new Backlog<Received>((evict) => budget.open(evict));
  const sent: string[] = [];
  const joined: SharedSubscription[] = [];
  let position = at(5);
  const encoding = { frames: "single", encode: ({ content }: { content: Uint8Array }) => content };
  const state = { connectionId: 1, protocol: { encodingOf: () => encoding } };
  const connection = {
    getUserData: () => state,
    getBufferedAmount: () => 0,
    send: (content: Uint8Array) => void sent.push(Buffer.from(content).toString()),
  } as unknown as Connection;
  const subscription = { backlog, isConfirmed: true, leaveBacklog: () => backlog.removeReader() };
  const hub = {
    frontier: {
      get position() {
        return position;
      },
    },
    connection: () => connection,
    flushTo() {},
    join: (_: Connection, own: SharedSubscription) => void joined.push(own),
  };
  const parts = { hub, budget, bus: { confirm: async () => true }, workerId: "abcd1234", unsentLimit: 1_000 };
  const more = {
    counters: newCounters(),
    slices: new TimeSlices(),
    traces: {},
    log: { warn() {}, info() {}, error() {} },
  };
  const recovery = new Recovery({ ...parts, ...more } as unknown as ConstructorParameters<typeof Recovery>[0]);
  const store = (sequence: number) => {
    position = at(sequence);
    const message = {
      data: Buffer.from(`stored ${sequence}`),
      headers: undefined,
      subject: "",
    } as unknown as BusMessage;
    backlog.push({ message, position, arrival: sequence }, 1);
  };
  return { recovery, connection, subscription: subscription as unknown as SharedSubscription, store, sent, joined };
}

/** Resumes from a position that cannot be read. Meanwhile two publications are stored. */
async function failToResume({ isCache }: { readonly isCache: boolean }) {
  const { recovery, connection, subscription, store, sent, joined } = openWorker();
  const outcomes: RecoveryOutcome[] = [];
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
  recovery.start({ connection, subscriptions: [subscription], since, kind: "connection", isCache, onOutcome });
  await expect.poll(() => joined.length).toBe(1);
  recovery.stop();
  expect(outcomes).toHaveLength(1);
  return { outcome: outcomes[0], sent };
}

test("after a failed read the client starts after what was stored meanwhile, and receives only later publications", async () => {
  const { outcome, sent } = await failToResume({ isCache: false });

  expect(outcome).toEqual({ recovered: false, reason: "malformed", position: formatPosition(at(7)) });
  expect(sent).toEqual(["stored 8"]);
});

test("a client whose cached event cannot be replayed receives everything that was stored since it subscribed", async () => {
  const { outcome, sent } = await failToResume({ isCache: true });

  expect(outcome).toMatchObject({ recovered: false, position: formatPosition(at(5)) });
  expect(sent).toEqual(["stored 6", "stored 7", "stored 8"]);
});
