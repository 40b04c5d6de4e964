import { expect, test, vi } from "vitest";
import type { ApiClient } from "../api/client.ts";
import { TraceStream } from "./trace-stream.ts";

const at = "2026-01-01T00:00:00.000Z";
const publication = (data: number) => {
  const traced = { at, target: { topic: "news" }, event: "message", data: String(data), bytes: 1, durable: false };
  return `event: publication\ndata: ${JSON.stringify(traced)}\n\n`;
};

test("a paused trace counts all entries that arrive, and keeps the newest thousand", async () => {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const stream = async () => ({ ok: true, value: readable });
  const trace = new TraceStream({ stream } as unknown as ApiClient);
  trace.start({});
  trace.togglePause();
  const writer = writable.getWriter();
  const receive = (from: number, to: number) => {
    const events = Array.from({ length: to - from }, (_, index) => publication(from + index));
    return writer.write(new TextEncoder().encode(events.join("")));
  };

  await receive(0, 1_500);
  await vi.waitFor(() => expect(trace.arrivedCount.value).toBe(1_500));
  expect(trace.entries.value).toEqual([]);
  trace.togglePause();
  expect(trace.arrivedCount.value).toBe(0);
  expect(trace.entries.value).toHaveLength(1_000);
  expect(trace.entries.value[0]?.value).toMatchObject({ data: "1499" });

  trace.togglePause();
  await receive(1_500, 1_503);
  await vi.waitFor(() => expect(trace.arrivedCount.value).toBe(3));
  trace.stop();
});
