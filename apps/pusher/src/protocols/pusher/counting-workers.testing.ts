import type { Bus, BusMessage } from "@fanwire/bus";
import { Subjects } from "@fanwire/protocol";
import { onTestFinished, vi } from "vitest";
import { ClusterCounts } from "./cluster-counts.ts";

const subjects = new Subjects();

/** Starts two workers with fake time. Each has a separate connection to NATS. `deliver` sends a report to both. */
export function startWorkers() {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const receivers = new Set<(message: BusMessage) => void>();
  const deliver = (report: object) => {
    const message = { subject: subjects.pusherCounts, data: Buffer.from(JSON.stringify(report)), respond: () => false };
    for (const receive of receivers) receive(message);
  };
  return { one: startWorker("aaaaaaaa", receivers), other: startWorker("bbbbbbbb", receivers), deliver };
}

/**
 * `link` is its connection to NATS: one that is losing takes what the worker sends, and delivers nothing. It counts
 * messages that are too large for it.
 */
function startWorker(workerId: string, receivers: Set<(message: BusMessage) => void>) {
  const link = { state: "connected" as "connected" | "away" | "losing", maxPayload: 1_048_576, refused: 0 };
  const sent: { readonly counts: [string, number][]; readonly asks: string[] }[] = [];
  let onConnection: (isConnected: boolean) => void = () => {};
  const bus = {
    subscribe: (subject: string, receiver: (message: BusMessage) => void) => {
      receivers.add((message) => link.state === "connected" && receiver(message));
      return { subject, unsubscribe() {} };
    },
    onConnection: (listener: (isConnected: boolean) => void) => {
      onConnection = listener;
    },
    send: (subject: string, data: Uint8Array) => {
      if (link.state === "away") return "unavailable";
      if (data.length > link.maxPayload) {
        link.refused++;
        return "too-large";
      }
      sent.push(JSON.parse(Buffer.from(data).toString()));
      if (link.state === "connected") for (const receive of receivers) receive({ subject, data, respond: () => false });
      return "sent";
    },
  };
  const informed: [string, number][] = [];
  const listeners = new Set<(keys: ReadonlySet<string>) => void>();
  const counts = new ClusterCounts({
    bus: bus as unknown as Bus,
    subjects,
    workerId,
    changed: (keys) => {
      for (const key of keys) informed.push([key, counts.total(key)]);
      for (const listener of listeners) listener(keys);
    },
  });
  onTestFinished(() => counts.stop());
  const reconnect = () => {
    link.state = "connected";
    onConnection(true);
  };
  /** `informed` has the totals that were reported to clients, which `listeners` are. */
  return { counts, informed, listeners, sent, link, reconnect };
}
