import { createLog } from "@fanwire/service";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { WebSocket } from "ws";
import { freePorts } from "../support/free-ports.ts";
import {
  readConfig,
  type ServingParts,
  type SingleFrames,
  startSession,
  startWorker,
  type WebSocketProtocol,
  type Worker,
} from "../support/pusher-sources.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

type Presence = ServingParts["hub"]["presence"];
type LocalChange = Parameters<Parameters<Presence["onLocalChange"]>[0]>[0];
type Frame = Readonly<Record<string, unknown>>;
type Client = { readonly frames: Frame[]; send(message: object): void; close(): void };

const content: SingleFrames = {
  frames: "single",
  encode: (publication) => publication.content,
  encodePresence: ({ joined, left, count, isPartial }) => [
    ...joined.map(({ user }) => JSON.stringify({ joined: user, count, isPartial })),
    ...left.map(({ user }) => Buffer.from(JSON.stringify({ left: user, count, isPartial }))),
  ],
};

/** A protocol in which each presence change is a frame, with the options of joins that the others do not use. */
function memberProtocol(onOpen: (parts: ServingParts) => void): WebSocketProtocol {
  return {
    name: "members",
    subprotocol: "members",
    canResume: false,
    encodings: [content],
    encodingOf: () => content,
    openSessions(parts) {
      onOpen(parts);
      const { presence } = parts.hub;
      return {
        wait: () => {},
        start: (socket, query) => startSession(parts, socket, query, () => socket.send('{"welcome":true}')),
        receive: (socket, message) => {
          const { join, leave, user, ...options } = JSON.parse(Buffer.from(message).toString());
          if (leave) presence.leave(socket, leave);
          else {
            const onLeave = () => void socket.send('{"hasLeft":true}');
            presence.join(socket, join, { user, info: undefined }, { ...options, onLeave }, (outcome) => {
              const isMember = presence.isMember(socket, join)?.user;
              socket.send(JSON.stringify({ ...outcome, isMember }));
            });
          }
        },
        close: () => {},
      };
    },
  };
}

const { nats } = useCluster();
const workers: Worker[] = [];
const ports: number[] = [];
const presences: Presence[] = [];
const changes: LocalChange[][] = [];
const sockets: WebSocket[] = [];
const nothingIsLeft = () => presences.every(({ stats }) => stats.topics === 0 && stats.bytes === 0);

beforeAll(async () => {
  ports.push(...(await freePorts(2)));
  for (const [at, port] of ports.entries()) {
    const env = { PUSHER_HOST: "127.0.0.1", PUSHER_DRAIN_SECONDS: "0", PUSHER_PRESENCE_LEAVE_SECONDS: "0" };
    const protocol = memberProtocol(({ hub }) => {
      const own: LocalChange[] = [];
      changes.push(own);
      presences.push(hub.presence);
      hub.presence.onLocalChange((change) => own.push(change));
    });
    workers.push(
      await startWorker({
        config: readConfig({ FANWIRE_NATS_URL: nats.url, ...env }),
        slot: at + 1,
        port,
        log: createLog("pusher", "error"),
        signal: new AbortController().signal,
        protocols: [protocol],
      }),
    );
  }
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.close();
  await until("nothing is left", nothingIsLeft);
});
afterAll(async () => {
  for (const worker of workers) await worker.stop();
});

test("a limit refuses the user who would be one too many, and others never learn of that user", async () => {
  const clients = await Promise.all([0, 1, 0, 1].map(connect));
  const [one, two, three, again] = clients;
  const options = { join: "limited", maxMembers: 2 };

  await outcomeOf(one, { ...options, user: "one" });
  await outcomeOf(two, { ...options, user: "two" });
  expect(await outcomeOf(three, { ...options, user: "three" })).toEqual({ ok: false, reason: "limit" });
  // Another connection of a member is no other member.
  expect(await outcomeOf(again, { ...options, user: "one" })).toMatchObject({ ok: true, list: { count: 2 } });
  two?.send({ leave: "limited" });
  await until("two has left", () => one?.frames.some(({ left }) => left === "two"));
  expect(await outcomeOf(three, { ...options, user: "three" })).toMatchObject({ ok: true, isMember: "three" });

  await until("three has joined", () => one?.frames.some(({ joined }) => joined === "three"));
  expect(one?.frames.filter(({ ok, welcome }) => ok === undefined && welcome === undefined)).toEqual([
    { joined: "two", count: 2, isPartial: false },
    { left: "two", count: 1, isPartial: false },
    { joined: "three", count: 2, isPartial: false },
  ]);
});

test("simultaneous joins to two workers fill the limit exactly, and who is refused was never shown", async () => {
  const witnesses = await Promise.all([connect(0), connect(1)]);
  for (let round = 0; round < 5; round++) {
    const joins = { join: `rush-${round}`, maxMembers: 7 };
    for (const [at, witness] of witnesses.entries()) await outcomeOf(witness, { ...joins, user: `witness-${at}` });
    const clients = await Promise.all(Array.from({ length: 20 }, (_, at) => connect(at % 2)));

    const outcomes = await Promise.all(
      clients.map((client, at) => outcomeOf(client, { ...joins, user: `user-${at}` })),
    );

    const accepted = outcomes.flatMap(({ ok }, at) => (ok ? [`user-${at}`] : []));
    expect(accepted).toHaveLength(5);
    for (const { frames } of witnesses) {
      const shown = () => frames.flatMap(({ joined }) => (/^user/.test(String(joined)) ? [joined] : []));
      await until("the witnesses see all", () => shown().length >= 5);
      expect(shown().sort()).toEqual(accepted.sort());
      expect(frames.filter(({ left }) => left !== undefined)).toEqual([]);
    }
    for (const [at, presence] of presences.entries()) {
      const local = accepted.filter((user) => Number(user.slice(5)) % 2 === at);
      const members = Array.from(presence.members(`rush-${round}`), ({ user }) => user);
      expect(members.sort()).toEqual([`witness-${at}`, ...local].sort());
    }
    for (const client of clients) client.close();
    for (const witness of witnesses) {
      witness.send({ leave: `rush-${round}` });
      witness.frames.length = 0;
    }
  }
});

test("a user with several connections takes one place, also when they join two workers at the same time", async () => {
  const clients = await Promise.all(Array.from({ length: 12 }, (_, at) => connect(at % 2)));

  const outcomes = await Promise.all(
    clients.map((client, at) =>
      outcomeOf(client, { join: "tabs", maxMembers: 3, user: `user-${Math.floor(at / 2) % 4}` }),
    ),
  );

  const accepted = new Set(outcomes.flatMap(({ ok }, at) => (ok ? [Math.floor(at / 2) % 4] : [])));
  expect(accepted.size).toBe(3);
});

test("a place that was taken and left while others wait can be taken again", async () => {
  const clients = await Promise.all(Array.from({ length: 6 }, (_, at) => connect(at % 2)));
  const joins = { join: "again", maxMembers: 2 };

  for (let round = 0; round < 10; round++) {
    const pair = [clients[round % 6], clients[(round + 1) % 6]];
    const outcomes = await Promise.all(pair.map((each, at) => outcomeOf(each, { ...joins, user: `user-${at}` })));
    expect(outcomes).toMatchObject([{ ok: true }, { ok: true }]);
    for (const each of pair) each?.send({ leave: "again" });
    await until("both workers know that all have left", nothingIsLeft);
  }
});

test("listeners learn of the first and the last connection of each user on this worker", async () => {
  const clients = await Promise.all([0, 0, 1].map(connect));
  const [one, two, other] = clients;
  for (const own of changes) own.length = 0;
  const joins = { join: "local", user: "anna" };

  for (const client of clients) await outcomeOf(client, joins);
  one?.close();
  other?.close();
  await until("the other worker reports it", () => changes[1]?.length === 2);
  expect(changes[0]).toEqual([{ topic: "local", member: { user: "anna" }, isPresent: true, localMembers: 1 }]);
  two?.send({ leave: "local" });
  await until("this worker reports it", () => changes[0]?.length === 2);

  for (const own of changes) {
    expect(own.map(({ isPresent, localMembers }) => [isPresent, localMembers])).toEqual([
      [true, 1],
      [false, 0],
    ]);
  }
});

test("a join that ends before its outcome has none", async () => {
  const clients = await Promise.all([connect(0), connect(0)]);
  const [client, witness] = clients;

  client?.send({ join: "early", user: "anna" });
  client?.send({ leave: "early" });
  await until("it has left", () => client?.frames.some(({ hasLeft }) => hasLeft));
  await outcomeOf(witness, { join: "early", user: "bob" });
  await outcomeOf(client, { join: "early", user: "anna" });

  expect(client?.frames.filter(({ ok }) => ok)).toHaveLength(1);
  expect(Array.from(presences[0]?.members("early") ?? [], ({ user }) => user).sort()).toEqual(["anna", "bob"]);
});

async function connect(at: number): Promise<Client> {
  const socket = new WebSocket(`ws://127.0.0.1:${ports[at]}/`, "members");
  sockets.push(socket);
  const frames: Frame[] = [];
  socket.on("message", (data) => frames.push(JSON.parse(String(data))));
  await until("the welcome", () => frames.length > 0);
  return { frames, send: (message) => socket.send(JSON.stringify(message)), close: () => socket.close() };
}

async function outcomeOf(client: Client | undefined, join: object): Promise<Frame> {
  const outcomes = () => client?.frames.filter(({ ok }) => ok !== undefined) ?? [];
  const before = outcomes().length;
  client?.send(join);
  return until("the outcome", () => outcomes()[before]);
}
