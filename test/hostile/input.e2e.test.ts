import type { Socket } from "node:net";
import { beforeAll, expect, test } from "vitest";
import { publishToEveryone, subjects } from "../support/bus.ts";
import { metric } from "../support/cluster.ts";
import { connectRawClient, type RawClient } from "../support/raw-client.ts";
import {
  clientFrame,
  connectSocket,
  HANDSHAKE,
  handshakeSocket,
  type RawSocket,
  writeSegment,
} from "../support/raw-socket.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const MAX_BYTES = 1_000;

const { bus, pusher } = useCluster({
  pusher: {
    PUSHER_WORKERS: "1",
    PUSHER_MAX_INBOUND_BYTES: String(MAX_BYTES),
    PUSHER_MAX_INBOUND_PER_SECOND: "100000",
  },
});
let witness: RawClient;

beforeAll(async () => {
  witness = await connectRawClient(pusher.url);
});

function written(socket: Socket, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => socket.write(bytes, () => resolve()));
}

/** Checks that the same process still serves other clients. */
async function expectUndisturbed(): Promise<void> {
  witness.frames.length = 0;
  await publishToEveryone(bus, "undisturbed");
  await until("the witness receives its publication", () => witness.frames.length === 1);
  expect(pusher.process.exit()).toBeUndefined();
}

const without = (name: string) => HANDSHAKE.filter((line) => !line.startsWith(`${name}:`));
const request = (lines: string[]) => `${lines.join("\r\n")}\r\n\r\n`;

test.each([
  ["a POST", `${request(["POST / HTTP/1.1", "Host: x", "Content-Length: 3"])}abc`],
  ["no host", request(without("Host"))],
  ["no HTTP at all", "hello\r\n\r\n"],
  ["a TLS hello", Buffer.from("16030100a5010000a10303", "hex")],
  ["binary noise", Buffer.from([0, 255, 0, 254, 13, 10, 13, 10])],
  ["a header without end", `GET / HTTP/1.1\r\nHost: x\r\nX: ${"y".repeat(100_000)}`],
  [
    "very many headers",
    request(["GET / HTTP/1.1", "Host: x", ...Array.from({ length: 2_000 }, (_, at) => `X-${at}: y`)]),
  ],
  ["an unknown version", request(["GET / HTTP/9.9", "Host: x"])],
  ["a bad transfer coding", `${request(["POST / HTTP/1.1", "Host: x", "Transfer-Encoding: chunked"])}zz\r\n`],
  ["two lengths", `${request(["POST / HTTP/1.1", "Host: x", "Content-Length: 3", "Content-Length: 4"])}abc`],
])("a malformed handshake opens no connection: %s", async (_, bytes) => {
  const before = await metric(pusher.adminUrl, "fanwire_pusher_connections_accepted_total");
  const raw = await connectSocket(pusher.url);

  raw.socket.write(bytes);
  raw.socket.end();

  await until("the connection is closed or answered", () => raw.isClosed() || raw.received().length > 0);
  raw.socket.destroy();
  expect(raw.received().toString("latin1")).not.toContain("101 Switching");
  expect(await metric(pusher.adminUrl, "fanwire_pusher_connections_accepted_total")).toBe(before);
  await expectUndisturbed();
});

test.each([
  ["a reserved opcode", clientFrame(0x3, Buffer.from("x"))],
  ["a reserved bit", Buffer.from([0xf1, 0x80, 0, 0, 0, 0])],
  ["a fragmented ping", clientFrame(0x9, Buffer.from("x"), { fin: false })],
  ["a ping over 125 bytes", clientFrame(0x9, Buffer.alloc(126))],
  ["a continuation of nothing", clientFrame(0x0, Buffer.from("x"))],
  ["text that is not UTF-8", clientFrame(0x1, Buffer.from([0xff, 0xfe]))],
  ["a huge declared length", Buffer.from([0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0])],
  [
    "fragments that add up beyond the limit",
    Buffer.concat([clientFrame(0x2, Buffer.alloc(900), { fin: false }), clientFrame(0x0, Buffer.alloc(900))]),
  ],
  ["a close frame of one byte", clientFrame(0x8, Buffer.from([3]))],
])("a malformed frame closes its connection: %s", async (_, bytes) => {
  const raw = await handshakeSocket(pusher.url);

  raw.socket.write(bytes);

  await until("the connection is closed", () => raw.isClosed());
  await expectUndisturbed();
});

test("a handshake whose headers arrive in many small segments is accepted", async () => {
  const [line = "", ...headers] = HANDSHAKE;
  const slow = await connectSocket(pusher.url);
  slow.socket.write(`${line}\r\n`);

  const bytes = Buffer.from(request(headers));
  // uWebSockets.js closes a connection whose headers take ten seconds, which a busy machine reaches with smaller
  // segments.
  for (let at = 0; at < bytes.length; at += 16) await writeSegment(slow, bytes.subarray(at, at + 16));

  await until("the greeting", () => slow.received().includes("подключено"));
  slow.socket.destroy();
  await expectUndisturbed();
});

test("a request line in several TCP segments is refused, because uWebSockets.js parses only a whole line", async () => {
  const slow = await connectSocket(pusher.url);

  await writeSegment(slow, Buffer.from("GET / HT"));
  await writeSegment(slow, Buffer.from(`${request(HANDSHAKE).slice("GET / HT".length)}`));

  await until("the connection is closed", () => slow.isClosed());
  expect(slow.received().toString("latin1")).toContain("505");
  await expectUndisturbed();
});

test("a ping between the fragments of a text message is answered", async () => {
  const raw = await handshakeSocket(pusher.url);
  const before = raw.received().length;

  raw.socket.write(clientFrame(0x1, Buffer.from("ab"), { fin: false }));
  raw.socket.write(clientFrame(0x9, Buffer.from("hi")));
  raw.socket.write(clientFrame(0x0, Buffer.from("cd")));

  await until("the pong", () => raw.received().subarray(before).includes("hi"));
  expect(raw.isClosed()).toBe(false);
  raw.socket.destroy();
  await expectUndisturbed();
});

async function connectRawFanwire(): Promise<RawSocket> {
  const raw = await connectSocket(pusher.url);
  raw.socket.write(request([...HANDSHAKE, "Sec-WebSocket-Protocol: fanwire.v1"]));
  await until("the welcome", () => raw.received().includes("welcome"));
  return raw;
}

test("a malformed command among others that wait for a slice of time closes its connection only", async () => {
  const frameOf = (text: string) => clientFrame(0x1, Buffer.from(text));
  const ping = '{"id":1,"command":"ping"}';
  // Use up the slice of the tick.
  const busy = await Promise.all(Array.from({ length: 10 }, connectRawFanwire));
  const frame = frameOf(Array.from({ length: 35 }, () => ping).join("\n"));
  const hostile = await connectRawFanwire();

  pusher.process.kill("SIGSTOP");
  for (const { socket } of busy) await written(socket, Buffer.concat(Array.from({ length: 50 }, () => frame)));
  // The worker reads its sockets in the order in which they could be read.
  const large = ping.padEnd(MAX_BYTES);
  await written(hostile.socket, Buffer.concat([ping, "x", large].map(frameOf)));
  pusher.process.kill("SIGCONT");

  await until("the connection is closed", () => hostile.isClosed());
  await expectUndisturbed();
});

test("malformed control requests are answered with an error, and malformed publications are harmless", async () => {
  for (const body of [
    "",
    "{",
    "[]",
    '{"command":"rm -rf"}',
    '{"command":"find-connection","connectionId":"1"}',
    "\xff",
  ]) {
    const reply = await bus.request(subjects.worker(witness.workerId), Buffer.from(body, "latin1"), {
      timeoutMs: 2_000,
    });
    expect(reply.ok && Buffer.from(reply.message.data).toString()).toBe('{"error":"invalid control request"}');
  }
  const odd = `fanwire.live.connection.${witness.workerId}.x1`;
  const reply = await bus.request(odd, Buffer.from("?"), { timeoutMs: 2_000 });
  expect(reply.ok && Buffer.from(reply.message.data).toString()).toBe('{"outcome":"no-connection"}');
  await bus.publish(subjects.live({ kind: "everyone" }), Buffer.from("x"), [["Except", "not an address"]]);
  await until("the lost publication is delivered", () => witness.frames.includes("x"));
  await expectUndisturbed();
});
