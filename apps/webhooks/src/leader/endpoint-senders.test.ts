import { type Journal, JournalError } from "@fanwire/bus";
import { createLog } from "@fanwire/service";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { readConfig } from "../config.ts";
import { newCounters } from "../counters.ts";
import type { Progress } from "../delivery/endpoint-sender.ts";
import { EndpointSenders } from "./endpoint-senders.ts";
import type { EventLog } from "./event-log.ts";
import type { Records } from "./records.ts";

const endpoints = [{ url: "http://127.0.0.1:9/", secret: "0123456789abcdef" }];

beforeEach(() => void vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] }));
afterEach(() => void vi.useRealTimers());

/** Loads the senders of one endpoint, with this progress. */
function load(progress: Progress, eventLog: Partial<EventLog>, saved: unknown[] = []): Promise<EndpointSenders> {
  const records = { load: async () => progress, save: async (_name: string, record: unknown) => saved.push(record) };
  return EndpointSenders.load({
    // Only what the tests give is used.
    ...{ events: {} as Journal, eventLog: eventLog as EventLog, records: records as unknown as Records },
    lease: { isValid: () => true, lost: new Promise<void>(() => {}), release: async () => {}, abandon: () => {} },
    config: readConfig({ WEBHOOKS_ENDPOINTS: JSON.stringify(endpoints) }),
    ...{ counters: newCounters(), log: createLog("test", "silent"), fail: () => {} },
  });
}

test("progress is saved when everything is stored that was sent before, such as a dead letter", async () => {
  const saved: unknown[] = [];
  let store = () => {};
  const stored = new Promise<void>((resolve) => (store = resolve));
  const senders = await load({ cursor: 7, waiting: [] }, { lastSequence: 7, stored: () => stored }, saved);
  const saving = senders.save();
  await new Promise((resolve) => setImmediate(resolve));
  expect(saved).toEqual([]);

  store();
  await saving;
  expect(saved).toEqual([{ cursor: 7, waiting: [] }]);
  await senders.stop();
});

test("an endpoint begins with the next event if its progress is beyond the end, as after a deletion of the stream", async () => {
  const senders = await load({ cursor: 1_000, waiting: [] }, { lastSequence: 3 });

  expect(senders.all.map(({ cursor }) => cursor)).toEqual([3]);
  await senders.stop();
});

test("when waiting events cannot be read, no sender is left", async () => {
  const failure = new JournalError("timeout");

  await expect(
    load({ cursor: 3, waiting: [2] }, { lastSequence: 3, read: () => Promise.reject(failure) }),
  ).rejects.toBe(failure);
  expect(vi.getTimerCount()).toBe(0);
});
