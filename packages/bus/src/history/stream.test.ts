import { setTimeout as delay } from "node:timers/promises";
import { Subjects } from "@fanwire/protocol";
import { createLog } from "@fanwire/service";
import { JetStreamApiCodes, JetStreamApiError, type JetStreamManager } from "@nats-io/jetstream";
import { expect, test } from "vitest";
import { HistoryStream } from "./stream.ts";

const subjects = new Subjects();
const limits = { maxAgeSeconds: 60, maxPerSubject: 10, maxBytes: 1_000_000, replicas: 1 };

/** One stream for all services. Each request takes a moment, so that others come between a read and a write. */
function sharedStream(): JetStreamManager {
  let info = {
    created: "2026-01-02T03:04:05.678901234Z",
    state: { first_seq: 1, last_seq: 5 },
    config: {
      name: subjects.historyStream,
      subjects: [subjects.allHistory],
      republish: { src: subjects.allHistory, dest: subjects.allLive },
      retention: "limits",
      max_msgs_per_subject: 10,
      duplicate_window: 120_000_000_000,
    },
  };
  const streams = {
    info: async () => {
      const found = structuredClone(info);
      await delay(2);
      return found;
    },
    update: async (_name: string, change: object) => {
      await delay(Math.random() * 10);
      info = { ...info, config: { ...info.config, ...change } };
      return structuredClone(info);
    },
  };
  return { streams } as unknown as JetStreamManager; // the members that the history stream uses
}

test("services that mark the history at the same moment use the same epoch", async () => {
  const jsm = sharedStream();
  const services = Array.from(
    { length: 5 },
    () => new HistoryStream(jsm, subjects, limits, createLog("test", "silent")),
  );
  const opened = await services[0]?.open();
  const before = opened?.ok ? opened.history.epoch : "";

  const marked = await Promise.all(
    services.map(async (service, at) => {
      await delay(at * 2); // each marks with another moment
      return service.mark(before);
    }),
  );

  const epochs = new Set(marked.map((outcome) => outcome.ok && outcome.history.epoch));
  expect(epochs.size).toBe(1);
  expect(epochs).not.toContain(before);
});

test("a service waits before it creates a deleted stream, whose files NATS may still delete", async () => {
  const { streams } = sharedStream();
  const missing = new JetStreamApiError({
    code: 404,
    err_code: JetStreamApiCodes.StreamNotFound,
    description: "missing",
  });
  let isDeleted = false;
  let createdAt = 0;
  const info = (name: string) => (isDeleted ? Promise.reject(missing) : streams.info(name));
  const add = () => {
    isDeleted = false;
    createdAt = performance.now();
    return streams.info(subjects.historyStream);
  };
  const jsm = { streams: { info, add } } as unknown as JetStreamManager; // the members that the history stream uses
  const service = new HistoryStream(jsm, subjects, limits, createLog("test", "silent"));
  await service.open();

  isDeleted = true;
  const deletedAt = performance.now();
  const opened = await service.open();

  expect(opened.ok).toBe(true);
  expect(createdAt - deletedAt).toBeGreaterThan(990);
});
