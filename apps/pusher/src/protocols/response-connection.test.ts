import type { HttpResponse } from "uWebSockets.js";
import { expect, test } from "vitest";
import type { ConnectionState } from "../connections/connection.ts";
import { newCounters } from "../connections/counters.ts";
import { ResponseConnection } from "./response-connection.ts";

/** Bytes that uWebSockets.js buffers for corked writes. */
const CORK_BYTES = 16_384;
const COMMENT = ": \n";

/** A connection whose socket takes what its client has room for, as uWebSockets.js writes to it. */
function openConnection({ unsentLimit = 1_000_000 } = {}) {
  const client = { room: 0, received: Buffer.alloc(0) };
  let buffered = Buffer.alloc(0);
  let onWritable = () => true;
  const flush = () => {
    const taken = Math.min(client.room, buffered.length);
    client.received = Buffer.concat([client.received, buffered.subarray(0, taken)]);
    client.room -= taken;
    buffered = buffered.subarray(taken);
  };
  const write = (chunk: string | Uint8Array) => {
    flush();
    const isTaken = buffered.length === 0;
    const bytes = Buffer.from(chunk);
    expect(bytes.length).toBeLessThan(CORK_BYTES);
    buffered = Buffer.concat([buffered, bytes]);
    return isTaken;
  };
  const response = {
    getRemoteAddressAsText: () => new ArrayBuffer(0),
    onWritable: (handler: () => boolean) => {
      onWritable = handler;
    },
    cork: (writing: () => void) => {
      writing();
      flush();
    },
    write,
    end: write,
    close: () => {},
  };
  const connection = new ResponseConnection({
    response: response as unknown as HttpResponse,
    state: {} as ConnectionState,
    counters: newCounters(),
    unsentLimit,
    comment: COMMENT,
    farewell: () => "farewell",
  });
  const read = (bytes: number) => {
    client.room += bytes;
    onWritable();
    flush();
  };
  const received = () => client.received.toString().replaceAll(COMMENT, "");
  return { connection, read, received };
}

test("unsent bytes fall while a client reads, which is never up to date", () => {
  const { connection, read, received } = openConnection();
  const frames = Array.from({ length: 20 }, (_, at) => `${at} ${"€".repeat(10_000)}\n`);
  for (const frame of frames.slice(0, 10)) connection.send(frame);

  for (const frame of frames.slice(10)) {
    const before = connection.getBufferedAmount();
    read(50_000);
    expect(before - connection.getBufferedAmount()).toBeGreaterThan(30_000);
    connection.send(frame);
    expect(connection.getBufferedAmount()).toBeGreaterThan(50_000);
  }
  while (connection.getBufferedAmount() > 0) read(50_000);
  read(50_000);

  const arrived = received().split("\n").slice(0, -1);
  expect(arrived.map((each) => Number.parseInt(each, 10))).toEqual(frames.map((_, at) => at));
  expect(arrived.every((each, at) => `${each}\n` === frames[at])).toBe(true);
});

test("unsent data is counted in bytes, not in characters, and a connection over the limit is dropped", () => {
  const { connection } = openConnection({ unsentLimit: 60_000 });
  connection.send("first");
  connection.send("second");
  const before = connection.getBufferedAmount();

  expect([connection.send("€".repeat(10_000)), connection.getBufferedAmount() - before]).toEqual([0, 30_000]);
  expect([connection.send("€".repeat(10_000)), connection.send("more")]).toEqual([0, 2]);
});

test("a connection that ends sends what waits, and then its last bytes", () => {
  const { connection, read, received } = openConnection();
  for (const frame of ["one ", "two ", "three "]) connection.send(frame);

  connection.end(1000, "");
  read(1_000);

  expect(received()).toBe("one two three farewell");
});
