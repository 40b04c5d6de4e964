import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { publishToEveryone } from "../support/bus.ts";
import { type ChannelPeer, connectPeer, frame } from "../support/channel-peer.ts";
import { metric } from "../support/cluster.ts";
import { expectFlatMemory } from "../support/flat-memory.ts";
import { Mutator } from "../support/mutate.ts";
import { serialize } from "../support/php-value.ts";
import type { TestProcess } from "../support/process.ts";
import { demoApp, pusherAppsEnv } from "../support/pusher-apps.ts";
import { signedTarget } from "../support/pusher-sdk.ts";
import { connectRawClient, type RawClient } from "../support/raw-client.ts";
import { clientFrame, connectSocket, HANDSHAKE, type RawSocket } from "../support/raw-socket.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

/** Inputs of one round. Each kind has at least {@link ROUNDS} rounds, and more until memory is flat. */
const PER_ROUND = 2_500;
const ROUNDS = 4;
const AT_ONCE = 100;
/** Seed of the mutations. The test prints it, so that a failure can be repeated. */
const SEED = Number(process.env.FANWIRE_DAMAGE_SEED ?? Date.now() % 1_000_000);

const folder = mkdtempSync(join(tmpdir(), "fanwire-hostile-"));
const channelSocket = join(folder, "channel.sock");
const { bus, pusher, publisher, channel } = useCluster({
  pusher: { PUSHER_WORKERS: "1", PUSHER_HANDSHAKES_PER_SECOND: "0" },
  publisher: pusherAppsEnv(),
  channel: { CHANNEL_SOCKET: channelSocket },
});
let witness: RawClient;
let peer: ChannelPeer;
/** Connections that send nothing or half a request. Their timeouts run while other tests do. */
const stalled: { readonly what: string; readonly raw: RawSocket; keptMs: number }[] = [];

beforeAll(async () => {
  console.log(`FANWIRE_DAMAGE_SEED=${SEED}`);
  witness = await connectRawClient(pusher.url);
  peer = await connectPeer(channel);
  for (const url of [pusher.url, publisher.url, pusher.adminUrl, publisher.adminUrl, channel.adminUrl]) {
    for (const start of ["", "GET / HTTP/1.1\r\nHost: x\r\n"]) {
      const raw = await connectSocket(url);
      const one = { what: `${url} ${start}`, raw, keptMs: Number.POSITIVE_INFINITY };
      const since = performance.now();
      raw.socket.once("close", () => (one.keptMs = performance.now() - since));
      raw.socket.write(start);
      stalled.push(one);
    }
  }
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Checks that all other clients are disconnected, and that the same processes still serve ours. */
async function expectUndisturbed(): Promise<void> {
  const connections = () => metric(pusher.adminUrl, "fanwire_pusher_connections");
  const peers = () => metric(channel.adminUrl, "fanwire_channel_peers");
  await until("all connections are closed", async () => (await connections()) === 1 && (await peers()) === 1);
  witness.frames.length = 0;
  await publishToEveryone(bus, "undisturbed");
  await until("the witness receives its publication", () => witness.frames.includes("undisturbed"));
  expect((await fetch(`${publisher.url}/?content=still%20here`)).status).toBe(200);
  await until("the witness receives the publication by HTTP", () => witness.frames.includes("still here"));
  await peer.settle();
  for (const { process } of [pusher, publisher, channel]) expect(process.exit()).toBeUndefined();
}

type Address = { readonly host: string; readonly port: number } | { readonly path: string };
const addressOf = (url: string): Address => ({ host: "127.0.0.1", port: Number(new URL(url).port) });

/**
 * Sends the first part on a new connection, and the second one after an answer. Then ends its side, except with "no
 * end". Resolves with everything received when the connection is closed.
 */
function converse(address: Address, first: Buffer, second?: Buffer | "no end"): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(address);
    let answer = "";
    socket.on("error", () => {}); // the server may reset the connection
    socket.once("close", () => resolve(answer));
    socket.on("data", (data) => (answer += data.toString("latin1")));
    if (second === undefined) socket.end(first);
    else socket.write(first);
    if (second instanceof Buffer) socket.once("data", () => socket.end(second));
  });
}

/**
 * Calls `act` {@link PER_ROUND} times a round, some at the same time, until the memory of the process is flat. Then
 * checks that other clients are served.
 */
async function expectHarmless(
  process: TestProcess,
  act: () => Promise<unknown>,
  { perRound = PER_ROUND, atOnce = AT_ONCE } = {},
): Promise<void> {
  const round = async () => {
    let left = perRound;
    const doNext = async () => {
      while (left-- > 0) await act();
    };
    await Promise.all(Array.from({ length: atOnce }, doNext));
  };
  await expectFlatMemory(process.pid, round, ROUNDS);
  await expectUndisturbed();
}

const lines = (...all: readonly string[]) => Buffer.from(`${all.join("\r\n")}\r\n\r\n`);
const asProtocol = (requestLine: string, ...more: string[]) => lines(requestLine, ...HANDSHAKE.slice(1), ...more);

test("10,000 malformed handshakes of every protocol leak no memory", async () => {
  const mutator = new Mutator(SEED);
  const handshakes = [
    asProtocol("GET / HTTP/1.1", "Origin: https://app.example"),
    asProtocol("GET /?topic=a.*&topic=b&token=a.b.c&since=x-1 HTTP/1.1", "Sec-WebSocket-Protocol: fanwire.v1, other"),
    asProtocol(
      "GET /any/path?topic=%D0%B6 HTTP/1.1",
      "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
    ),
    lines("GET /sse?topic=a.%3E&since=x-1 HTTP/1.1", "Host: x", "Accept: text/event-stream", "Last-Event-ID: x-9"),
  ];

  await expectHarmless(pusher.process, () => converse(addressOf(pusher.url), mutator.mutate(handshakes)));
});

test("10,000 malformed frames to raw and fanwire.v1 connections leak no memory", async () => {
  const mutator = new Mutator(SEED);
  const command = (message: unknown) => clientFrame(0x1, Buffer.from(JSON.stringify(message)));
  const topic = "a.b";
  const frames = [
    command({ id: 1, command: "subscribe", topic: "a.*", since: "x-1" }),
    command({ id: "2", command: "publish", topic, data: "ж", event: "e" }),
    Buffer.concat([command({ id: 3, command: "unsubscribe", topic }), command({ id: 4, command: "ping" })]),
    clientFrame(0x1, Buffer.from('{"id":5,"command":"ping"}\n{"id":6,"command":"refresh","token":"a.b.c"}')),
    Buffer.concat([clientFrame(0x1, Buffer.from("ab"), { fin: false }), clientFrame(0x0, Buffer.from("cd"))]),
    Buffer.concat([clientFrame(0x9, Buffer.from("hi")), clientFrame(0xa, Buffer.alloc(0))]),
    clientFrame(0x2, Buffer.alloc(300, 0xff)),
    clientFrame(0x8, Buffer.from([0x03, 0xe8, 0x62, 0x79, 0x65])),
  ];
  const protocols = [asProtocol("GET / HTTP/1.1"), asProtocol("GET / HTTP/1.1", "Sec-WebSocket-Protocol: fanwire.v1")];

  let sent = 0;
  await expectHarmless(pusher.process, async () => {
    const protocol = protocols[sent++ % protocols.length] ?? Buffer.alloc(0);
    expect(await converse(addressOf(pusher.url), protocol, mutator.mutate(frames))).toContain("101 Switching");
  });
});

test("10,000 malformed HTTP bodies are answered, and none with an internal error", async () => {
  const mutator = new Mutator(SEED);
  const bodies = [
    { target: { topic: "orders.7" }, data: "ж", event: "paid", id: "7", except: "abcd1234.1", receipt: false },
    { target: { topics: ["a", "b.c"] }, data: "AP8=", encoding: "base64" },
    { target: { connection: "abcd1234.7" }, data: "x" },
    [
      { target: { user: "anna" }, data: "x" },
      { target: { everyone: true }, data: "y", durable: false },
    ],
  ].map((body) => Buffer.from(JSON.stringify(body)));
  const perConnection = 25;
  const request = (body: Buffer, connection: string) =>
    Buffer.concat([
      lines(
        "POST /v1/publications HTTP/1.1",
        "Host: localhost",
        "Content-Type: application/json",
        `Content-Length: ${body.length}`,
        `Connection: ${connection}`,
      ),
      body,
    ]);

  const statuses = new Map<string, number>();
  const sendRequests = async () => {
    const requests = Array.from({ length: perConnection }, (_, at) =>
      request(mutator.mutate(bodies), at < perConnection - 1 ? "keep-alive" : "close"),
    );
    // The last request closes the connection after all answers.
    const answer = await converse(addressOf(publisher.url), Buffer.concat(requests), "no end");
    const answered = [...answer.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status = ""]) => status);
    expect(answered).toHaveLength(perConnection);
    for (const status of answered) statuses.set(status, (statuses.get(status) ?? 0) + 1);
  };
  await expectHarmless(publisher.process, sendRequests, { perRound: PER_ROUND / perConnection, atOnce: 10 });

  console.log("answers by status:", Object.fromEntries(statuses));
  expect([...statuses.keys()].filter((status) => !["200", "400", "404", "422"].includes(status))).toEqual([]);
});

test("10,000 malformed events with good signatures are answered, and none with an error of the server", async () => {
  const mutator = new Mutator(SEED);
  const event = { name: "paid", data: '{"a":"ж"}', socket_id: "783641640960.7", info: "subscription_count" };
  const bodies = [
    { ...event, channels: ["orders", "private-encrypted-a", "#server-to-user-ü"] },
    { ...event, channel: "cache-news" },
    {
      batch: [
        { ...event, channel: "orders" },
        { ...event, channel: "presence-room", info: "user_count" },
      ],
    },
  ].map((body) => Buffer.from(JSON.stringify(body)));

  const statuses = new Map<number, number>();
  const sendEvent = async () => {
    const body = Buffer.from(mutator.mutate(bodies));
    const resource = body.includes("batch") ? "batch_events" : "events";
    const target = signedTarget({ path: `/apps/${demoApp.id}/${resource}`, body });
    const { status } = await fetch(publisher.url + target, { method: "POST", body });
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
  };
  await expectHarmless(publisher.process, sendEvent, { atOnce: 10 });

  console.log("answers by status:", Object.fromEntries(statuses));
  expect([...statuses.keys()].filter((status) => ![200, 400].includes(status))).toEqual([]);
});

test("10,000 malformed HTTP requests are answered, and none with an internal error", async () => {
  const mutator = new Mutator(SEED);
  const requests = [
    lines("GET /?content=привет&to_worker_id=1&to_connection_id=2 HTTP/1.1", "Host: localhost"),
    lines("GET /?content=a%20b&to.worker_id=abcd1234&to_connection_id[]=7 HTTP/1.1", "Host: localhost"),
    lines(
      "GET /v1/topics/a.b%2A/publications?since=x-1&limit=5 HTTP/1.1",
      "Host: localhost",
      "Authorization: Bearer x",
    ),
    lines("PUT /v1/connections/abcd1234.1/topics/%D0%B6 HTTP/1.1", "Host: localhost", "Content-Length: 0"),
    lines(
      `GET ${signedTarget({ method: "GET", path: `/apps/${demoApp.id}/channels`, params: { info: "user_count" } })} HTTP/1.1`,
      "Host: localhost",
    ),
    lines(
      `POST ${signedTarget({ path: `/apps/${demoApp.id}/users/ü b/terminate_connections` })} HTTP/1.1`,
      "Host: localhost",
      "Content-Length: 0",
    ),
    Buffer.concat([
      lines(
        "POST /v1/publications HTTP/1.1",
        "Host: x",
        "Content-Type: application/json",
        "Transfer-Encoding: chunked",
      ),
      Buffer.from('2a\r\n{"target":{"everyone":true},"data":"spoilt"}\r\n0\r\n\r\n'),
    ]),
  ];

  await expectHarmless(publisher.process, async () => {
    expect(await converse(addressOf(publisher.url), mutator.mutate(requests))).not.toContain('"internal"');
  });
});

test("10,000 malformed packets over TCP and the Unix socket leak no memory", async () => {
  const mutator = new Mutator(SEED);
  const payloads = [
    { type: "subscribe", channels: ["a", 7, 1.5, true] },
    {
      type: "publish",
      channels: ["a", "вещание"],
      data: { content: "x", to_connection_id: "7", list: [1, null, [2.5]] },
    },
    { type: "publishLoop", channels: ["a"], data: "x" },
    { type: "enqueue", channels: ["q"], data: Buffer.from([0xff, 0]) },
    { type: "watch", channels: ["q"] },
    { type: "reserve" },
  ].map((message) => serialize(message));
  const packets = payloads.map((payload) => frame(payload));
  const addresses: Address[] = [{ host: "127.0.0.1", port: channel.port }, { path: channelSocket }];

  let sent = 0;
  await expectHarmless(channel.process, async () => {
    const address = addresses[sent++ % addresses.length] ?? { path: channelSocket };
    // Half of the packets have a valid length and a malformed payload.
    await converse(address, sent % 4 < 2 ? mutator.mutate(packets) : frame(mutator.mutate(payloads)));
  });

  expect(await metric(channel.adminUrl, "fanwire_channel_unfinished_bytes")).toBe(0);
});

test("connections that send nothing or half a request are closed", async () => {
  for (const { what, raw } of stalled) await until(`the connection is closed: ${what}`, () => raw.isClosed(), 40_000);
  // Timeouts are ten seconds. By default Node checks them every thirty.
  for (const { what, keptMs } of stalled) expect(keptMs, what).toBeLessThan(20_000);
  await expectUndisturbed();
});
