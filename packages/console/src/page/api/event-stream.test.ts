import { expect, test } from "vitest";
import { EventParser, readEvents } from "./event-stream.ts";

const STREAM =
  'retry: 1000\n: comment\n\nevent: publication\ndata: {"a":1}\n\ndata: one\r\ndata: two\r\n\r\nevent: lost\n\n';

test("events are the same wherever the stream is cut", () => {
  const expected = [
    { event: "publication", data: '{"a":1}' },
    { event: "message", data: "one\ntwo" },
  ];
  for (let at = 0; at <= STREAM.length; at++) {
    const parser = new EventParser();
    expect([...parser.push(STREAM.slice(0, at)), ...parser.push(STREAM.slice(at))]).toEqual(expected);
  }
});

test("an event without an end is refused", () => {
  const parser = new EventParser();
  const line = `data: ${"x".repeat(100_000)}\n`;
  expect(() => {
    for (let at = 0; at < 20; at++) parser.push(line);
  }).toThrow("event too long");
});

test("a stream that brings nothing any longer is cancelled, so that another one is opened", async () => {
  let isCancelled = false;
  const stream = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(Buffer.from("data: one\n\n")),
    cancel: () => {
      isCancelled = true;
    },
  });
  const events: string[] = [];

  await readEvents(stream, ({ data }) => events.push(data), 10);

  expect([events, isCancelled]).toEqual([["one"], true]);
});
