import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { connectFanwire, type FanwireClient } from "../support/fanwire-client.ts";
import { connectRawClient, type RawClient } from "../support/raw-client.ts";
import { SECRET, signToken } from "../support/tokens.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const [FULL, READ] = ["full-key-0123456789", "read-key-0123456789"];
const { pushers, publisher, channel } = useCluster({
  pusher: { PUSHER_TOKEN_SECRET: SECRET, PUSHER_WORKERS: "1", PUSHER_PUBLIC_TOPICS: ">" },
  publisher: { PUBLISHER_API_KEYS: `${FULL},read:${READ}`, PUBLISHER_REQUEST_TIMEOUT_MS: "1000" },
});
const [one, two] = pushers;

type Page = Readonly<Record<string, unknown>> & { readonly next?: string };

const ask = (path: string) => fetch(publisher.url + path, { headers: { Authorization: `Bearer ${READ}` } });

async function get<Body extends object = Page>(path: string): Promise<Body> {
  const response = await ask(path);
  expect(response.status, path).toBe(200);
  return (await response.json()) as Body;
}

/** Reads all pages of a list. Returns the items of all and the last page. */
async function pages<Item>(path: string, field: string): Promise<{ readonly items: Item[]; readonly last: Page }> {
  const items: Item[] = [];
  let page = await get(path);
  items.push(...(page[field] as Item[]));
  while (page.next !== undefined) {
    page = await get(`${path}&after=${encodeURIComponent(page.next)}`);
    items.push(...(page[field] as Item[]));
  }
  return { items, last: page };
}

type Listed = { readonly address: string; readonly user?: string; readonly topics: readonly string[] };

describe("with connections to two workers", () => {
  /** User, worker and topics of each connection. */
  const wanted: readonly (readonly [user: string, pusher: 0 | 1, topics: readonly string[]])[] = [
    ["anna", 0, ["news", "room.1"]],
    ["anna", 1, ["news"]],
    ["bob", 0, ["news", "room.2", "room.*"]],
    ["carl", 1, ["room.2", "каналы"]],
    ["carl", 1, ["room.2"]],
    ["carl", 0, ["room.2"]],
  ];
  const clients: FanwireClient[] = [];
  let raw: RawClient;

  beforeAll(async () => {
    for (const [user, pusher, topic] of wanted) {
      const token = await signToken({ sub: user, topics: [">"] });
      clients.push(await connectFanwire(pushers[pusher].url, { token, topic: [...topic] }));
    }
    raw = await connectRawClient(two.url);
  });
  afterAll(() => {
    for (const { socket } of [...clients, raw]) socket.close();
  });

  const addressOf = (client: number) => clients[client]?.welcome.connection ?? "";
  const sorted = () => [...clients.map(({ welcome }) => welcome.connection), raw.address].sort(byAddress);

  test("connections are listed by address, in pages, with filters", async () => {
    const { items, last } = await pages<Listed>("/v1/connections?limit=2", "connections");
    expect(items.map(({ address }) => address)).toEqual(sorted());
    expect(last).toMatchObject({ total: 7 });
    expect(last).not.toHaveProperty("complete");
    expect(items.find(({ address }) => address === addressOf(2))).toEqual(await get(`/v1/connections/${addressOf(2)}`));

    const listed = async (query: string) => {
      const { connections, total } = await get<{ connections: Listed[]; total: number }>(`/v1/connections?${query}`);
      expect(total, query).toBe(connections.length);
      return connections.map(({ address }) => address);
    };
    const of = (...indexes: number[]) => indexes.map(addressOf).sort(byAddress);
    expect(await listed("user=carl")).toEqual(of(3, 4, 5));
    expect(await listed("topic=news")).toEqual(of(0, 1, 2));
    expect(await listed("topic=room.*")).toEqual(of(2));
    expect(await listed("topic=nobody")).toEqual([]);
    expect(await listed("protocol=raw")).toEqual([raw.address]);
    expect(await listed("protocol=fanwire.v1&topic=news&user=anna")).toEqual(of(0, 1));
    expect(await listed("search=ar")).toEqual(expect.arrayContaining(of(3, 4, 5)));
    expect(await listed(`search=${addressOf(0)}`)).toContain(addressOf(0));
    expect(await listed("search=127.0.0.")).toEqual(sorted());
    expect(await listed("search=Carl")).toEqual([]);
    expect(await listed("search=&after=")).toEqual(sorted());
  });

  test("connections are listed by unsent bytes and topics, in pages", async () => {
    const { items, last } = await pages<Listed>("/v1/connections?order=busiest&limit=2", "connections");

    expect(last).toMatchObject({ total: 7 });
    expect(items.map(({ topics }) => topics.length)).toEqual([3, 2, 2, 1, 1, 1, 0]);
    const ties = [items.slice(1, 3), items.slice(3, 6)].map((tie) => tie.map(({ address }) => address));
    for (const tie of ties) expect(tie).toEqual([...tie].sort(byAddress));
    expect(
      (await get<{ connections: Listed[] }>("/v1/connections?order=busiest&user=anna&limit=1")).connections,
    ).toEqual([expect.objectContaining({ address: addressOf(0) })]);
  });

  test("users are listed by name and by connections, counted over all workers", async () => {
    const users = [
      { user: "anna", connections: 2 },
      { user: "bob", connections: 1 },
      { user: "carl", connections: 3 },
    ];
    const busiest = [users[2], users[0], users[1]];

    expect(await get("/v1/users")).toEqual({ users, total: 3 });
    expect((await pages("/v1/users?limit=1", "users")).items).toEqual(users);
    expect(await get("/v1/users?search=a")).toEqual({ users: [users[0], users[2]], total: 2 });
    expect(await get("/v1/users?order=busiest")).toEqual({ users: busiest, total: 3 });
    expect((await pages("/v1/users?order=busiest&limit=1", "users")).items).toEqual(busiest);
    // Two workers have users, some of them the same.
    expect(await get("/v1/users?limit=1")).toMatchObject({ totalAtLeast: 3, totalAtMost: 5 });
  });

  test("topics are listed by name and by connections, patterns excluded", async () => {
    const topics = [
      { topic: "news", connections: 3 },
      { topic: "room.1", connections: 1 },
      { topic: "room.2", connections: 4 },
      { topic: "каналы", connections: 1 },
    ];

    expect(await get("/v1/topics")).toEqual({ topics, total: 4 });
    expect((await pages("/v1/topics?limit=1", "topics")).items).toEqual(topics);
    expect(await get("/v1/topics?prefix=room.")).toEqual({ topics: topics.slice(1, 3), total: 2 });
    expect(await get(`/v1/topics?search=${encodeURIComponent("нал")}`)).toEqual({ topics: [topics[3]], total: 1 });
    const busiest = [topics[2], topics[0], topics[1], topics[3]];
    expect(await get("/v1/topics?order=busiest")).toEqual({ topics: busiest, total: 4 });
    expect((await pages("/v1/topics?order=busiest&limit=3", "topics")).items).toEqual(busiest);
    expect(await get("/v1/topics?order=busiest&prefix=room.&limit=1")).toMatchObject({
      topics: [topics[2]],
      next: "1",
    });
  });

  test("topics and users that begin or end after a list are right in the next one", async () => {
    const token = await signToken({ sub: "dora", topics: [">"] });
    const client = await connectFanwire(one.url, { token, topic: ["room.0", "news"] });

    expect(await get("/v1/users?search=dora")).toMatchObject({ users: [{ connections: 1 }] });
    expect(await get("/v1/topics?limit=2")).toMatchObject({ topics: [{ connections: 4 }, { topic: "room.0" }] });
    expect(await get("/v1/connections?user=dora")).toMatchObject({ total: 1 });
    client.socket.close();
    await until("the connection is closed", async () => (await get("/v1/connections")).total === 7);
    expect(await get("/v1/users")).toMatchObject({ total: 3 });
    expect(await get("/v1/topics?prefix=room.0")).toEqual({ topics: [], total: 0 });
  });

  test("the cluster has facts of its workers, services, NATS node and history", async () => {
    expect(channel.port).toBeGreaterThan(0);
    const key = { headers: { Authorization: `Bearer ${FULL}`, "content-type": "application/json" }, method: "POST" };
    const body = JSON.stringify({ target: { topic: "kept" }, data: "x", durable: true });
    const stored = await fetch(`${publisher.url}/v1/publications`, { ...key, body });
    const { position } = (await stored.json()) as { position: string };

    const facts = {
      memory: { residentBytes: expect.any(Number), heapBytes: expect.any(Number) },
      eventLoopDelayMs: expect.any(Number),
      nats: { name: expect.any(String), version: expect.stringMatching(/^\d+\.\d+\.\d+/) },
    };
    const current = { position, isCurrent: true };
    const cluster = await until("both workers have processed the publication", async () => {
      const found = await get<{ workers: { history: typeof current }[] }>("/v1/cluster");
      return found.workers.every(({ history }) => history.position === position && history.isCurrent) && found;
    });
    expect(cluster).toMatchObject({
      workers: [0, 1].map(() => ({ ...facts, unsentBytes: 0, history: current })),
      services: [
        { kind: "channel", ...facts, counts: { peers: 0 } },
        { kind: "publisher", ...facts, counts: { requestsInFlight: 1, publicationsTotal: 1 } },
      ],
      nats: [{ connectedFrom: 4 }],
      history: { messages: 1, firstPosition: position, lastPosition: position, maxAgeSeconds: 86_400, replicas: [] },
    });
    const counts = (cluster.workers as unknown as { connections: number; users: number; topics: number }[]).map(
      ({ connections, users, topics }) => [connections, users, topics],
    );
    expect(counts.sort()).toEqual([
      [3, 3, 4],
      [4, 2, 3],
    ]);
    expect(cluster).not.toHaveProperty("missing");
  });

  test("a worker that does not answer is missing, and its connections are not taken for none", async () => {
    expect(await get("/v1/users?limit=1")).toMatchObject({ totalAtLeast: 3, totalAtMost: 5 });
    two.process.kill("SIGSTOP");
    try {
      const gap = { missing: 1, complete: false };
      const own = clients.filter((_, at) => wanted[at]?.[1] === 0).length;
      expect(await get("/v1/connections")).toMatchObject({ ...gap, total: own });
      expect(await get("/v1/connections?order=busiest")).toMatchObject({ ...gap, total: own });
      for (const path of ["/v1/users", "/v1/topics", "/v1/users?order=busiest", "/v1/topics?order=busiest"]) {
        const page = await get(path);
        expect(page, path).toMatchObject({ ...gap, totalAtLeast: 3 });
        expect(page).not.toHaveProperty("total");
        expect(page).not.toHaveProperty("totalAtMost");
      }
      expect(await get("/v1/cluster")).toMatchObject({
        workers: [{ connections: own }],
        missing: [raw.address.split(".")[0]],
      });
    } finally {
      two.process.kill("SIGCONT");
    }
    await until("the worker answers again", async () => (await get("/v1/connections")).complete === undefined);
    expect(await get("/v1/users")).toMatchObject({ total: 3 });
  });
});

test("parameters that no page can have are refused", async () => {
  for (const path of [
    ...["/v1/connections?limit=201", "/v1/connections?limit=0", "/v1/connections?order=name", "/v1/connections?user="],
    ...["/v1/connections?after=x", "/v1/connections?order=busiest&after=aaaaaaaa.1", "/v1/connections?protocol=ws"],
    ...["/v1/users?limit=201", "/v1/users?order=address", "/v1/topics?limit=1001", "/v1/topics?order=busiest&after=x"],
    ...["/v1/users?order=busiest&after=-1", "/v1/users?order=busiest&after=1000", "/v1/users?order=busiest&after=01"],
    ...["/v1/users/x?limit=1001", "/v1/users/x?after=x", "/v1/users/x?after=worker01"],
    ...["/v1/topics/a.*/publications", "/v1/topics/%3E/publications", "/v1/topics/a/publications?limit=1001"],
    ...["/v1/topics/a/publications?limit=0", "/v1/topics/a/publications?since=yesterday"],
    ...["/v1/topics/a/publications?since=", `/v1/topics/${"x".repeat(256)}/publications`],
    `/v1/topics?search=${"x".repeat(256)}`,
  ]) {
    expect((await ask(path)).status, path).toBe(422);
  }
  for (const path of [
    "/v1/users?order=busiest&after=999",
    "/v1/connections?order=busiest&after=0-0-zzzzzzzz.1",
    "/v1/topics/a/publications?limit=1000",
  ]) {
    expect((await ask(path)).status, path).toBe(200);
  }
});

function byAddress(one: string, other: string): number {
  const [worker = "", id] = one.split(".");
  const [otherWorker = "", otherId] = other.split(".");
  return worker === otherWorker ? Number(id) - Number(otherId) : worker < otherWorker ? -1 : 1;
}
