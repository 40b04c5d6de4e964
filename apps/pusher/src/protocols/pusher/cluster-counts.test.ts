import type { Bus, BusMessage } from "@fanwire/bus";
import { Subjects } from "@fanwire/protocol";
import { expect, onTestFinished, test } from "vitest";
import { ClusterCounts } from "./cluster-counts.ts";

const MAX_PAYLOAD = 1_024;

/** Delivers to all, and refuses what is larger than a NATS with a small `max_payload` takes. */
function startBus() {
  const receivers: ((message: BusMessage) => void)[] = [];
  let refused = 0;
  const bus = {
    subscribe: (subject: string, receiver: (message: BusMessage) => void) => {
      receivers.push(receiver);
      return { subject, unsubscribe() {} };
    },
    onConnection() {},
    send: (subject: string, data: Uint8Array) => {
      if (data.length > MAX_PAYLOAD) {
        refused++;
        return "too-large";
      }
      for (const receive of receivers) receive({ subject, data, respond: () => false });
      return "sent";
    },
  };
  return { bus: bus as unknown as Bus, refused: () => refused };
}

test("counts and questions reach other workers in parts when NATS takes only small messages", async () => {
  const { bus, refused } = startBus();
  const [one, other] = ["aaaaaaaa", "bbbbbbbb"].map((workerId) => {
    const counts = new ClusterCounts({ bus, subjects: new Subjects(), workerId, changed() {} });
    onTestFinished(() => counts.stop());
    return counts;
  });
  const keys = Array.from({ length: 100 }, (_, at) => `topic-${at}-${"x".repeat(100)}`);

  for (const [at, key] of keys.entries()) one?.set(key, at + 1);
  for (const key of keys) other?.watch(key);

  await expect
    .poll(() => keys.map((key) => other?.total(key)), { timeout: 5_000 })
    .toEqual(keys.map((_, at) => at + 1));
  expect(refused()).toBeGreaterThan(0);
});
