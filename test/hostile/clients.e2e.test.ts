import { deflateRawSync } from "node:zlib";
import type { BusMessage } from "@fanwire/bus";
import { beforeAll, expect, test } from "vitest";
import { publishToEveryone } from "../support/bus.ts";
import { connectPeer } from "../support/channel-peer.ts";
import { metric } from "../support/cluster.ts";
import { connectFanwire } from "../support/fanwire-client.ts";
import { expectFlatMemory, residentBytes } from "../support/flat-memory.ts";
import { connectRawClient, type RawClient } from "../support/raw-client.ts";
import { clientFrame, connectSocket, HANDSHAKE, handshakeSocket, type RawSocket } from "../support/raw-socket.ts";
import { SECRET } from "../support/tokens.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const MAX_CONNECTIONS = 200;
const MAX_PER_SECOND = 500;
const MIB = 1_048_576;

const { bus, pusher, publisher, channel } = useCluster({
  pusher: {
    PUSHER_WORKERS: "1",
    PUSHER_TOKEN_SECRET: SECRET,
    PUSHER_PUBLIC_TOPICS: ">",
    PUSHER_MAX_CONNECTIONS: String(MAX_CONNECTIONS),
    PUSHER_MAX_INBOUND_PER_SECOND: String(MAX_PER_SECOND),
    PUSHER_HANDSHAKES_PER_SECOND: "100000",
  },
});
let witness: RawClient;

beforeAll(async () => {
  witness = await connectRawClient(pusher.url);
});

/** Checks that the same process still serves other clients. */
async function expectUndisturbed(): Promise<void> {
  witness.frames.length = 0;
  await publishToEveryone(bus, "undisturbed");
  await until("the witness receives its publication", () => witness.frames.includes("undisturbed"));
  expect(pusher.process.exit()).toBeUndefined();
}

const NAMES = [
  ...["*", ">", "a.*", "a.>", ">.a", ".", "..", "a..b", "a b", "a\tb", "a\0b", "\u2028", "ж*", "a".repeat(255)],
  ...[
    "a\r\nPUB fanwire.control.workers 2\r\n{}\r\n",
    "../history/all",
    "history.all",
    "control.workers",
    "fanwire.history.all",
  ],
  ...["$SYS.>", "$JS.API.STREAM.DELETE.FANWIRE_HISTORY", "_INBOX.x", "=2A", "=2E", "==", "%2A", "%2e", "\ud800"],
];
const TOKEN = "[A-Za-z0-9_=-]+";
const INBOX = String.raw`(_INBOX|\$JS\.(API\.(STREAM\.(INFO|CREATE|MSG\.GET)|CONSUMER\.[A-Z.]+)\.FANWIRE_|EVENT|ACK))[.A-Z]`;
const CONNECTION = String.raw`live\.connection\.([a-z][a-z0-9]{7}|[0-9]+)\.[0-9]+`;
const CHANNEL = String.raw`channel\.(event|loop|queue)\.${TOKEN}`;
const subjectsOf = (...own: string[]) => new RegExp(String.raw`^(${INBOX}|fanwire\.(${own.join("|")})$)`);
/** Subjects that a channel server may publish to for a peer. */
const PEERS_SUBJECT = subjectsOf(String.raw`live\.all`, CONNECTION, CHANNEL);
const OWN_SUBJECT = subjectsOf(
  ...[CONNECTION, CHANNEL, String.raw`control\.(workers|worker\.[a-z][a-z0-9]{7})`],
  String.raw`(live|history)\.(all|topic\.${TOKEN}(\.${TOKEN})*|user\.${TOKEN})`,
);

/** NATS uses `$JS.S` to copy one stream to another, and workers announce themselves to each other. */
const REGULAR = /^(\$JS\.S\.|fanwire\.presence\.workers$)/;

/** The publisher looks for workers now and then. No client can make a worker ask with a subject for answers. */
const isQuestion = ({ subject, reply }: BusMessage) => subject === "fanwire.control.workers" && reply !== undefined;

/**
 * Returns all subjects of publications while `act` runs. Messages to consumers of the history are omitted, because they
 * have the subject under which they were stored.
 */
async function subjectsDuring(act: () => Promise<void>): Promise<Set<string>> {
  const seen = new Set<string>();
  const spying = bus.subscribe(">", (message: BusMessage) => {
    if (message.reply?.startsWith("$JS.ACK.") || REGULAR.test(message.subject) || isQuestion(message)) return;
    seen.add(message.subject);
  });
  await bus.confirm();
  await act();
  await expectUndisturbed();
  spying.unsubscribe();
  return seen;
}

test("injection: names in HTTP requests cannot leave their NATS subjects", async () => {
  const call = async (method: string, path: string, body?: unknown) => {
    const init =
      body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } };
    const { status } = await fetch(publisher.url + path, { method, ...init });
    expect(status, `${method} ${path}`).not.toBe(500);
  };

  const sendAll = async (name: string) => {
    const part = encodeURIComponent(name.replace("\ud800", "\ufffd"));
    for (const target of [{ topic: name }, { user: name }, { topics: [name, "b"] }, { connection: name }]) {
      await call("POST", "/v1/publications", { target, data: "x", event: name, id: name, except: name });
      await call("POST", "/v1/publications", { target, data: "x" });
    }
    await call("POST", "/v1/publications", { target: { topic: name }, data: "x", durable: true, id: name });
    for (const path of [`/v1/topics/${part}/publications`, `/v1/users/${part}`, `/v1/connections/${part}`]) {
      await call("GET", path);
    }
    await call("PUT", `/v1/connections/${witness.workerId}.999/topics/${part}`);
    await call("DELETE", `/v1/connections/${part}.1`);
    await call("GET", `/?content=x&to_worker_id=${part}&to_connection_id=1`);
    await call("GET", `/?content=x&to_worker_id=${witness.workerId}&to_connection_id=${part}`);
  };

  const seen = await subjectsDuring(async () => void (await Promise.all(NAMES.map(sendAll))));

  expect([...seen].filter((subject) => !OWN_SUBJECT.test(subject))).toEqual([]);
  expect([...seen].filter((subject) => subject.startsWith("fanwire.live.topic.")).length).toBeGreaterThan(10);
});

test("injection: names from Workerman peers cannot leave their NATS subjects", async () => {
  using peer = await connectPeer(channel);

  const seen = await subjectsDuring(async () => {
    for (const name of NAMES) {
      const bytes = Buffer.from(name);
      peer.subscribe(bytes);
      peer.publish([bytes, "вещание"], { content: bytes, to_connection_id: bytes });
      peer.publish([witness.workerId], { content: "x", to_connection_id: bytes });
      peer.publishLoop([bytes], 1);
      peer.enqueue([bytes], 1);
      peer.watch(bytes);
    }
    peer.reserve();
    await peer.settle();
  });

  expect([...seen].filter((subject) => !PEERS_SUBJECT.test(subject))).toEqual([]);
  expect([...seen].filter((subject) => subject.startsWith("fanwire.channel.event.")).length).toBeGreaterThan(10);
});

test("a worker refuses compression, and closes a connection that sends a compressed frame without inflating it", async () => {
  const bomb = deflateRawSync(Buffer.alloc(64 * MIB));
  const raw = await connectSocket(pusher.url);
  raw.socket.write(`${[...HANDSHAKE, "Sec-WebSocket-Extensions: permessage-deflate"].join("\r\n")}\r\n\r\n`);
  await until("the greeting", () => raw.received().includes("подключено"));
  expect(raw.received().toString("latin1")).not.toMatch(/sec-websocket-extensions/i);
  const before = residentBytes(pusher.process.pid);

  raw.socket.write(clientFrame(0x40 | 0x2, bomb.subarray(0, 60_000)));

  await until("the connection is closed", () => raw.isClosed());
  expect(residentBytes(pusher.process.pid) - before).toBeLessThan(32 * MIB);
  await expectUndisturbed();
});

const connections = () => metric(pusher.adminUrl, "fanwire_pusher_connections");
const subscriptions = () => metric(pusher.adminUrl, "fanwire_pusher_subscriptions");

async function openMany(count: number, open: () => Promise<RawSocket>): Promise<RawSocket[]> {
  const sockets: RawSocket[] = [];
  while (sockets.length < count) sockets.push(...(await Promise.all(Array.from({ length: 100 }, open))));
  return sockets;
}

async function writeTo(text: string | Buffer): Promise<RawSocket> {
  const raw = await connectSocket(pusher.url);
  void raw.socket.write(text);
  return raw;
}

const head = (lines: readonly string[]) => `${lines.join("\r\n")}\r\n\r\n`;

const floods: Record<string, () => Promise<void>> = {
  "connections beyond the limit": async () => {
    const sockets = await openMany(1_000, () => writeTo(head(HANDSHAKE)));
    await until("each socket is answered or closed", () =>
      sockets.every((raw) => raw.received().length > 0 || raw.isClosed()),
    );
    const accepted = sockets.filter((raw) => raw.received().includes("101 Switching"));
    expect(accepted.length).toBe(MAX_CONNECTIONS - 1); // one is the witness
    for (const { socket } of sockets) socket.destroy();
  },
  "handshakes that stop half-way": async () => {
    const sockets = await openMany(1_000, () => writeTo("GET / HTTP/1.1\r\nHost: x\r\nX-"));
    await expectUndisturbed();
    for (const { socket } of sockets) socket.destroy();
  },
  "huge heads": async () => {
    const big = head([...HANDSHAKE, ...Array.from({ length: 40 }, (_, at) => `X-${at}: ${"y".repeat(1_000)}`)]);
    const sockets = await openMany(500, () => writeTo(big));
    await until("each socket is answered or closed", () =>
      sockets.every((raw) => raw.received().length > 0 || raw.isClosed()),
    );
    for (const { socket } of sockets) socket.destroy();
  },
  pings: async () => {
    const pings = Buffer.concat(Array.from({ length: 2 * MAX_PER_SECOND }, () => clientFrame(0x9, Buffer.alloc(125))));
    for (let round = 0; round < 20; round++) {
      const raw = await handshakeSocket(pusher.url);
      raw.socket.write(pings);
      await until("the connection is closed", () => raw.isClosed());
    }
  },
  "fragments without end": async () => {
    const crumbs = Buffer.concat([
      clientFrame(0x2, Buffer.alloc(1), { fin: false }),
      ...Array.from({ length: 20_000 }, () => clientFrame(0x0, Buffer.alloc(1), { fin: false })),
    ]);
    const sockets = await openMany(100, () => handshakeSocket(pusher.url));
    for (const { socket } of sockets) socket.write(crumbs);
    await expectUndisturbed();
    for (const { socket } of sockets) socket.destroy();
  },
  "text that is none": async () => {
    const sockets = await openMany(100, () => handshakeSocket(pusher.url));
    for (const { socket } of sockets) socket.write(clientFrame(0x1, Buffer.alloc(30_000, 0xff)));
    await until("all connections are closed", () => sockets.every((raw) => raw.isClosed()));
  },
  subscriptions: async () => {
    for (let round = 0; round < 20; round++) {
      const client = await connectFanwire(pusher.url);
      for (let at = 0; at < MAX_PER_SECOND - 10; at++) {
        client.socket.send(JSON.stringify({ id: at, command: "subscribe", topic: `flood.${round}.${at}` }));
      }
      expect(await client.ask({ command: "ping" })).toMatchObject({ ok: true });
      client.socket.terminate();
    }
  },
  "commands that are none": async () => {
    const clients = await Promise.all(Array.from({ length: 100 }, () => connectFanwire(pusher.url)));
    for (const { socket } of clients) socket.send("[".repeat(60_000));
    await until("all connections are closed", () => clients.every(({ close }) => close?.code === 4400));
  },
};

test.each(Object.entries(floods))("a flood of %s disturbs no other client and leaks no memory", async (_, flood) => {
  await until("no other connection is open", async () => (await connections()) === 1);
  const subscriptionsBefore = await subscriptions();

  await expectFlatMemory(pusher.process.pid, async () => {
    await flood();
    await until("all connections are closed", async () => (await connections()) === 1);
    await until("their subscriptions are closed", async () => (await subscriptions()) === subscriptionsBefore);
  });
  await expectUndisturbed();
});
