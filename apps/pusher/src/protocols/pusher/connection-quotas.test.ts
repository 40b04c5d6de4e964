import type { CloseCode } from "@fanwire/protocol";
import { expect, onTestFinished, test, vi } from "vitest";
import { pusherCodes } from "../../wire/pusher-close-codes.ts";
import { ConnectionQuotas } from "./connection-quotas.ts";
import { startWorkers } from "./counting-workers.testing.ts";

test("a page that reloads to another worker at a full quota is not refused before its first worker has reported", async () => {
  const { one, other } = startWorkers();
  const app = { id: "shop", maxConnections: 1 };
  const [first, second] = [one, other].map(({ counts }) => {
    const quotas = new ConnectionQuotas<string>([app], counts);
    onTestFinished(() => quotas.stop());
    return quotas;
  });
  first?.opened(app);
  await vi.advanceTimersByTimeAsync(3_950);
  expect(second?.isFull(app)).toBe(true);

  for (let at = 0; at < 3_000; at++) one.counts.set(`topic:${at}`, 1);
  first?.closed(app);
  const closed: CloseCode[] = [];
  second?.refuse("page", app, (_, code) => closed.push(code));
  expect(closed).toEqual([]);
  // The first worker sends a heartbeat before its next report.
  await vi.advanceTimersByTimeAsync(2_000);

  expect(closed).toEqual([pusherCodes.full]);
});
