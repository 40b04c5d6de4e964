import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { nowMicros } from "../clock.ts";
import { encodeContent } from "../content.ts";
import type { ClientReport } from "./calls.ts";
import { ClientPool } from "./client-pool.ts";
import { plainDialect } from "./dialect.ts";

const accepted = "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

function frame(payload: Buffer): Buffer {
  return Buffer.concat([Buffer.from([0x81, payload.length]), payload]);
}

function publications(...sequences: number[]): Buffer {
  return Buffer.concat(sequences.map((sequence) => frame(encodeContent(sequence, nowMicros() - 5_000))));
}

/** Returns the report of three connections that each expect five publications. */
async function reportOn(send: (socket: Socket) => void): Promise<ClientReport> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => {});
    socket.once("data", () => socket.write(Buffer.concat([Buffer.from(accepted), frame(Buffer.from("greeting"))])));
  }).listen(0, "127.0.0.1");
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  await once(server, "listening");
  const { port } = server.address() as AddressInfo; // a TCP server has an AddressInfo

  const pool = new ClientPool({
    address: { host: "127.0.0.1", port },
    dialect: { ...plainDialect, greetings: 1 },
    connections: 3,
  });
  await pool.open();
  pool.expect({ total: 5, recordFrom: 1, recordEvery: 1 });
  for (const socket of sockets) send(socket);
  return pool.settle(200);
}

const none = { missing: 0, repeated: 0, late: 0, foreign: 0, ended: 0 };

test("deliveries that arrive once and in order are timed and without faults", async () => {
  const report = await reportOn((socket) => socket.write(publications(0, 1, 2, 3, 4)));

  expect(report.faults).toEqual(none);
  expect(report.latency.samples).toBe(3 * 4);
  expect(report.latency.p50Micros).toBeGreaterThanOrEqual(5_000);
});

test.each([
  ["missing in the middle", [0, 1, 3, 4], { ...none, missing: 3 }],
  ["missing at the end", [0, 1, 2], { ...none, missing: 6 }],
  ["repeated", [0, 1, 2, 2, 3, 4], { ...none, repeated: 3 }],
  ["out of order", [0, 2, 1, 3, 4], { ...none, late: 3 }],
  ["repeated after the last", [0, 1, 2, 3, 4, 4], { ...none, repeated: 3 }],
])("deliveries that are %s are counted on every connection", async (_what, sequences, faults) => {
  const report = await reportOn((socket) => socket.write(publications(...sequences)));

  expect(report.faults).toEqual(faults);
});

test("a late repetition is counted", async () => {
  const report = await reportOn(async (socket) => {
    socket.write(publications(0, 1, 2, 3, 4));
    await delay(50);
    socket.write(publications(4));
  });

  expect(report.faults).toEqual({ ...none, repeated: 3 });
});

test("unexpected frames and ended connections are faults", async () => {
  const report = await reportOn((socket) =>
    socket.end(Buffer.concat([publications(0, 1), frame(Buffer.from("what?"))])),
  );

  expect(report.faults).toMatchObject({ missing: 9, foreign: 3, ended: 3 });
  expect(report.faults.firstEnd).toContain("closed");
});
