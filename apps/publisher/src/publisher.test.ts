import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Bus, type BusMessage, startNatsBus } from "@fanwire/bus";
import { controlRequest, type DeliveryOutcome, Subjects, type WorkerDescription } from "@fanwire/protocol";
import { createLog } from "@fanwire/service";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { readConfig } from "./config.ts";
import { type Publisher, startPublisher } from "./publisher.ts";

const log = createLog("test", "silent");
const subjects = new Subjects();
const never = new AbortController().signal;

/** A nats-server of its own; `start` after `stop` comes back on the same port. */
class NatsServer {
  port = -1;
  readonly #folder: string;
  #process: ChildProcess | undefined;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async run(extraConfig = ""): Promise<NatsServer> {
    const server = new NatsServer(await mkdtemp(join(tmpdir(), "fanwire-publisher-")));
    await writeFile(join(server.#folder, "nats.conf"), `max_payload: 100000\n${extraConfig}`);
    await server.start();
    return server;
  }

  async start(): Promise<void> {
    const portsFolder = await mkdtemp(join(this.#folder, "ports-"));
    const options = ["-c", join(this.#folder, "nats.conf"), "-a", "127.0.0.1", "-p", String(this.port)];
    this.#process = spawn("nats-server", [...options, "--ports_file_dir", portsFolder], { stdio: "ignore" });
    const file = join(portsFolder, `nats-server_${this.#process.pid}.ports`);
    const ports = await vi.waitUntil(() => readFile(file, "utf8").then(JSON.parse, () => undefined), {
      timeout: 10_000,
    });
    this.port = Number(new URL(ports.nats[0]).port);
  }

  async stop(): Promise<void> {
    if (this.#process === undefined) return;
    const exited = once(this.#process, "exit");
    this.#process.kill("SIGKILL");
    await exited;
    this.#process = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

const configFor = (nats: { port: number }, env: Record<string, string> = {}) =>
  readConfig({
    FANWIRE_NATS_URL: `nats://127.0.0.1:${nats.port}`,
    PUBLISHER_PORT: "0",
    PUBLISHER_ADMIN_PORT: "0",
    ...env,
  });

const readiness = async ({ adminPort }: Publisher) => (await fetch(`http://127.0.0.1:${adminPort}/readyz`)).status;
const isReady = async (publisher: Publisher) => (await readiness(publisher)) === 200;

async function startReady(nats: NatsServer, env: Record<string, string> = {}): Promise<Publisher> {
  const publisher = await startPublisher(configFor(nats, env), { log }, never);
  await vi.waitUntil(() => isReady(publisher), { timeout: 10_000 });
  return publisher;
}

type Heard = { readonly subject: string; readonly content: Buffer; readonly headers: Record<string, string> };

/** Listens to what pushers would hear, and answers as one worker does. */
class FakeWorker {
  readonly heard: Heard[] = [];
  outcome: DeliveryOutcome | "silence" | "nonsense" = "delivered";
  readonly closed: number[] = [];
  readonly #id: string;

  constructor(bus: Bus, id: string) {
    this.#id = id;
    bus.subscribe(subjects.live({ kind: "everyone" }), (message) => this.#hear(message));
    bus.subscribe(subjects.liveTopics(">"), (message) => this.#hear(message));
    bus.subscribe("fanwire.live.user.*", (message) => this.#hear(message));
    bus.subscribe(subjects.liveConnections(id), (message) => this.#onTargeted(message));
    bus.subscribe(subjects.worker(id), (message) => this.#onControl(message));
    bus.subscribe(subjects.allWorkers, (message) => this.#onControl(message));
  }

  #hear({ subject, data, headers }: BusMessage): void {
    const names = ["Event", "Id", "Except"].filter((name) => headers?.get(name));
    const entries = names.map((name) => [name, headers?.get(name) ?? ""]);
    this.heard.push({ subject, content: Buffer.from(data), headers: Object.fromEntries(entries) });
  }

  #onTargeted(message: BusMessage): void {
    this.#hear(message);
    if (this.outcome === "silence") return;
    message.respond(this.outcome === "nonsense" ? "what?" : JSON.stringify({ outcome: this.outcome }));
  }

  #onControl(message: BusMessage): void {
    if (this.outcome === "silence") return;
    const request = controlRequest.parse(JSON.parse(Buffer.from(message.data).toString()));
    if (request.command === "describe") {
      message.respond(JSON.stringify(this.describe()));
      return;
    }
    if (request.command !== "find-connection" && request.command !== "close-connection") return;
    const { connectionId } = request;
    if (request.command === "close-connection" && connectionId === 1) this.closed.push(connectionId);
    message.respond(JSON.stringify({ connection: connectionId === 1 ? this.connection() : null }));
  }

  describe(): WorkerDescription {
    const rates = { publicationsPerSecond: 0, deliveriesPerSecond: 0, bytesPerSecond: 0, acceptedPerSecond: 0 };
    return { id: this.#id, host: "h", pid: 1, version: "0.1.0", uptimeSeconds: 5, connections: 1, rates };
  }

  connection() {
    const openedAt = "2026-01-01T00:00:00.000Z";
    return { address: `${this.#id}.1`, door: "raw", topics: [], remoteAddress: "127.0.0.1", openedAt, unsentBytes: 0 };
  }
}

let nats: NatsServer;
let workerBus: Bus;
let worker: FakeWorker;
let publisher: Publisher;

beforeAll(async () => {
  nats = await NatsServer.run();
  workerBus = await startNatsBus({ config: configFor(nats).bus, name: "fake worker", log, signal: never });
  worker = new FakeWorker(workerBus, "worker01");
  new FakeWorker(workerBus, "aworker2");
  publisher = await startReady(nats);
}, 30_000);

afterEach(() => {
  worker.heard.length = 0;
  worker.closed.length = 0;
  worker.outcome = "delivered";
});

afterAll(async () => {
  await publisher.stop();
  await workerBus.stop();
  await nats[Symbol.asyncDispose]();
});

const url = (path: string, { port }: Publisher = publisher) => `http://127.0.0.1:${port}${path}`;

function post(body: unknown, to: Publisher = publisher, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(url("/v1/publications", to), {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body: typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body),
  });
}

const heardContents = () => worker.heard.map(({ content }) => content.toString("latin1"));
type ErrorBody = { readonly error: { readonly code: string; readonly details?: unknown } };
const errorOf = async (response: Response) => ((await response.json()) as ErrorBody).error;
const errorCode = async (response: Response) => (await errorOf(response)).code;

/** NATS confirmed it, so it is on its way to the worker too; `count` of them will be there soon. */
const hears = (count: number) => vi.waitUntil(() => worker.heard.length >= count);

/** As curl sends it: bytes nobody encoded. */
async function rawGet(target: string | Buffer, to: Publisher = publisher): Promise<string> {
  const socket = connect({ port: to.port, host: "127.0.0.1" });
  const parts = ["GET ", target, " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"];
  socket.write(Buffer.concat(parts.map((part) => Buffer.from(part))));
  let answer = "";
  socket.on("data", (chunk) => {
    answer += chunk;
  });
  await once(socket, "close");
  return answer;
}

describe("the seed's route", () => {
  test("publishes its content to everyone, whatever the method, and answers two bytes", async () => {
    for (const method of ["GET", "POST", "HEAD"]) {
      const response = await fetch(url("/?content=hello"), {
        method,
        ...(method === "POST" && { body: "content=no" }),
      });
      expect(response.status).toBe(200);
      expect(response.headers.get("content-type")).toBe("text/plain; charset=utf-8");
      expect(await response.text()).toBe(method === "HEAD" ? "" : "ok");
    }

    await hears(3);
    expect(worker.heard).toEqual(
      Array(3).fill({ subject: "fanwire.live.all", content: Buffer.from("hello"), headers: {} }),
    );
  });

  test("takes bytes as they come", async () => {
    await rawGet("/?content=привет");
    await rawGet(Buffer.concat([Buffer.from("/?content="), Buffer.from([0xff, 0xfe])]));
    await rawGet("/?content=%FF%00+%2B%zz");
    await rawGet("/?content=first&content=0");

    await hears(4);
    expect(heardContents()).toEqual([
      Buffer.from("привет").toString("latin1"),
      "\u00ff\u00fe",
      "\u00ff\u0000 +%zz",
      "0",
    ]);
  });

  test("publishes to one connection when both ids are given", async () => {
    const answer = await rawGet("/?to_worker_id=worker01&to_connection_id=17&content=x");

    await hears(1);
    expect(answer).toMatch(/\r\n\r\nok$/);
    expect(worker.heard[0]?.subject).toBe("fanwire.live.connection.worker01.17");
  });

  test("is ok with nothing to publish and with addresses nobody has", async () => {
    const queries = ["", "?", "?content=", "?a=b", "?to_worker_id=worker99&to_connection_id=1&content=x"];
    const malformed = [
      "?to_worker_id=worker1&to_connection_id=2&content=x",
      "?to_worker_id=*&to_connection_id=>&content=x",
    ];
    for (const query of [...queries, ...malformed]) {
      const response = await fetch(url(`/${query}`));
      expect([response.status, await response.text()], query).toEqual([200, "ok"]);
    }

    expect(worker.heard).toEqual([]);
  });

  test("refuses one id without the other, rather than telling everyone", async () => {
    for (const ids of [
      "to_worker_id=worker01",
      "to_connection_id=1",
      "to_worker_id=worker01&to_connection_id=",
      "to_worker_id=&to_connection_id=",
      "to_worker_id",
    ]) {
      const response = await fetch(url(`/?content=x&${ids}`));
      expect([response.status, await errorCode(response)], ids).toEqual([422, "invalid_request"]);
    }

    expect(worker.heard).toEqual([]);
  });

  test("is no route for other methods", async () => {
    const response = await fetch(url("/?content=x"), { method: "PUT" });

    expect([response.status, response.headers.get("allow")]).toEqual([405, "GET, HEAD, POST"]);
  });
});

describe("POST /v1/publications", () => {
  test("publishes bytes and headers to everyone", async () => {
    const everyone = { everyone: true };
    const text = await post({ target: everyone, data: "привет", event: "событие", id: "7", except: "worker01.3" });
    const bytes = await post({ target: everyone, data: "/wCA", encoding: "base64" });

    await hears(2);
    expect([text.status, await text.json()]).toEqual([200, { status: "published" }]);
    expect([bytes.status, await bytes.json()]).toEqual([200, { status: "published" }]);
    const subject = "fanwire.live.all";
    expect(worker.heard).toEqual([
      { subject, content: Buffer.from("привет"), headers: { Event: "событие", Id: "7", Except: "worker01.3" } },
      { subject, content: Buffer.from([0xff, 0x00, 0x80]), headers: {} },
    ]);
  });

  test("publishes to a topic, to each of several, and to a user", async () => {
    const answers = [];
    for (const target of [{ topic: "orders/7.ж" }, { topics: ["b", "a"] }, { user: "a.b" }]) {
      const response = await post({ target, data: "x" });
      answers.push([response.status, await response.json()]);
    }

    await hears(4);
    expect(answers).toEqual(Array(3).fill([200, { status: "published" }]));
    expect(worker.heard.map(({ subject }) => subject)).toEqual([
      "fanwire.live.topic.orders=2F7.=D0=B6",
      "fanwire.live.topic.b",
      "fanwire.live.topic.a",
      "fanwire.live.user.a=2Eb",
    ]);
  });

  test("says of a connection what its worker says", async () => {
    const toConnection = { target: { connection: "worker01.7" }, data: "x" };
    for (const [outcome, status, answer] of [
      ["delivered", 200, { status: "delivered" }],
      ["buffered", 200, { status: "buffered" }],
      ["gone", 404, { error: { code: "connection_not_found" } }],
      ["nonsense", 502, { error: { code: "malformed_reply" } }],
    ] as const) {
      worker.outcome = outcome;
      const response = await post(toConnection);
      expect(response.status).toBe(status);
      expect(await response.json()).toMatchObject(answer);
    }
  });

  test("is 404 when there is no such worker, and 503 when it does not answer", async () => {
    await using impatient = await startReady(nats, { PUBLISHER_REQUEST_TIMEOUT_MS: "50" });
    worker.outcome = "silence";

    const unknown = await post({ target: { connection: "worker99.1" }, data: "x" });
    const silent = await post({ target: { connection: "worker01.1" }, data: "x" }, impatient);

    expect([unknown.status, await errorCode(unknown)]).toEqual([404, "connection_not_found"]);
    expect([silent.status, silent.headers.get("retry-after")]).toEqual([503, "1"]);
    expect(await silent.json()).toMatchObject({ error: { code: "worker_timeout", message: /may have been/ } });
  });

  test("keeps the order of a batch", async () => {
    const numbers = Array.from({ length: 1_000 }, (_, number) => String(number));
    const response = await post(numbers.map((data) => ({ target: { everyone: true }, data })));

    await hears(1_000);
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ results: Array(1_000).fill({ status: "published" }) });
    expect(heardContents()).toEqual(numbers);
  });

  test("answers each of a batch for itself", async () => {
    const response = await post([
      { target: { everyone: true }, data: "a" },
      { target: { connection: "worker01.1" }, data: "b" },
      { target: { connection: "worker99.1" }, data: "c" },
      { target: { everyone: true }, data: "d".repeat(100_001) },
      { target: { everyone: true }, data: "e" },
    ]);

    await hears(3);
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({
      results: [
        { status: "published" },
        { status: "delivered" },
        { error: { code: "connection_not_found" } },
        { error: { code: "content_too_large" } },
        { status: "published" },
      ],
    });
    expect(heardContents()).toEqual(["a", "b", "e"]);
  });

  test("sends nothing of a batch in which anything is invalid, and names what", async () => {
    const good = { target: { everyone: true }, data: "x" };
    const response = await post([good, { ...good, data: 1 }, good, { ...good, target: {} }]);

    expect(response.status).toBe(422);
    expect(await errorOf(response)).toMatchObject({
      code: "invalid_request",
      details: [
        { index: 1, field: "data" },
        { index: 3, field: "target" },
      ],
    });
    expect((await post([])).status).toBe(422);
    expect((await post(Array(1_001).fill(good))).status).toBe(422);
    expect(worker.heard).toEqual([]);
  });

  const bad: [name: string, body: string | Uint8Array, status: number, code: string][] = [
    ["nothing", "", 400, "malformed_json"],
    ["no JSON", "{", 400, "malformed_json"],
    ["invalid UTF-8", Buffer.from('{"data":"\xff"}', "latin1"), 400, "malformed_json"],
    ["no object", "7", 422, "invalid_request"],
    ["half a surrogate pair", '{"target":{"everyone":true},"data":"\\ud83d"}', 422, "invalid_request"],
    ["a pattern for a topic", '{"target":{"topic":"a.*"},"data":"x"}', 422, "invalid_request"],
    ["several topics of which one is a pattern", '{"target":{"topics":["a",">"]},"data":"x"}', 422, "invalid_request"],
    [
      "durable to a connection",
      '{"target":{"connection":"worker01.1"},"data":"x","durable":true}',
      422,
      "invalid_request",
    ],
    ["an unknown field", '{"target":{"everyone":true},"data":"x","receipts":true}', 422, "invalid_request"],
    [
      "content NATS does not take",
      JSON.stringify({ target: { everyone: true }, data: "x".repeat(100_001) }),
      413,
      "content_too_large",
    ],
  ];

  test.each(bad)("refuses %s", async (_name, body, status, code) => {
    const response = await post(body);

    expect([response.status, await errorCode(response)]).toEqual([status, code]);
    expect(worker.heard).toEqual([]);
  });

  test("takes JSON that says so, and nothing packed", async () => {
    const body = JSON.stringify({ target: { everyone: true }, data: "x" });
    const statusWith = async (headers: Record<string, string>) => (await post(body, publisher, headers)).status;

    expect(await statusWith({ "Content-Type": "application/json; charset=UTF-8" })).toBe(200);
    expect(await statusWith({ "Content-Type": "text/plain" })).toBe(415);
    expect(await statusWith({ "Content-Type": "application/x-www-form-urlencoded" })).toBe(415);
    expect(await statusWith({ "Content-Type": "application/json; charset=utf-16" })).toBe(415);
    expect(await statusWith({ "Content-Encoding": "gzip" })).toBe(415);
  });
});

describe("connections and workers", () => {
  test("a connection is found, asked for and closed", async () => {
    const path = url("/v1/connections/worker01.1");

    const found = await fetch(path);
    expect([found.status, await found.json()]).toEqual([200, worker.connection()]);
    expect((await fetch(path, { method: "HEAD" })).status).toBe(200);
    expect((await fetch(path, { method: "DELETE" })).status).toBe(204);
    expect(worker.closed).toEqual([1]);
  });

  test("what nobody has is 404, what cannot be an address 422", async () => {
    for (const method of ["GET", "HEAD", "DELETE"]) {
      for (const [address, status] of [
        ["worker01.2", 404],
        ["worker99.1", 404],
        ["worker1.1", 422],
        ["worker01.*", 422],
        ["%FF", 422],
      ]) {
        const response = await fetch(url(`/v1/connections/${address}`), { method });
        expect(response.status, `${method} ${address}`).toBe(status);
      }
    }
  });

  test("the cluster is every worker, by id", async () => {
    const response = await fetch(url("/v1/cluster"));

    expect(response.status).toBe(200);
    const workers = [{ ...worker.describe(), id: "aworker2" }, worker.describe()];
    expect(await response.json()).toEqual({ workers });
  });

  test("a cluster without workers is empty, at once", async () => {
    await using lonely = await startReady(nats, { FANWIRE_PREFIX: "lonely" });

    const startedAt = performance.now();
    expect(await (await fetch(url("/v1/cluster", lonely))).json()).toEqual({ workers: [] });
    expect(performance.now() - startedAt).toBeLessThan(1_500);
  });
});

describe("keys", () => {
  const key = "right-key+0123456789";
  const bearer = (value: string) => ({ headers: { Authorization: `Bearer ${value}` } });
  let closed: Publisher;

  beforeAll(async () => {
    closed = await startReady(nats, { PUBLISHER_API_KEYS: `another-key-0123456789,${key}` });
  });
  afterAll(() => closed.stop());

  test("are demanded wherever something can be done", async () => {
    const status = async (path: string, init?: RequestInit) => (await fetch(url(path, closed), init)).status;

    for (const path of [
      "/",
      "/?content=x",
      "/v1/cluster",
      "/v1/publications",
      "/v1/connections/worker01.1",
      "/v1/nope",
    ]) {
      expect(await status(path), path).toBe(401);
      expect(await status(path, bearer("wrong-key-0123456789")), path).toBe(401);
      expect(await status(path, bearer(key)), path).not.toBe(401);
    }
    expect(await status("/openapi.json")).toBe(200);
    expect(await status("/docs")).toBe(200);
  });

  test("may stand in the query of the seed's route, and only there", async () => {
    const status = async (path: string) => (await fetch(url(path, closed))).status;

    expect(await status(`/?content=x&key=${encodeURIComponent(key)}`)).toBe(200);
    expect(await status("/?content=x&key=wrong")).toBe(401);
    expect(await status(`/v1/cluster?key=${encodeURIComponent(key)}`)).toBe(401);
  });

  test("are asked for in the standard way", async () => {
    const response = await fetch(url("/v1/cluster", closed));

    expect(response.headers.get("www-authenticate")).toBe('Bearer realm="fanwire"');
    expect(await errorCode(response)).toBe("unauthorized");
  });
});

describe("limits", () => {
  test("a body beyond the limit is 413, whether its length is announced or not", async () => {
    await using small = await startReady(nats, { PUBLISHER_MAX_BODY_BYTES: "2000" });
    const body = JSON.stringify({ target: { everyone: true }, data: "x".repeat(2_000) });

    const announced = await post(body, small);
    const chunked = await fetch(url("/v1/publications", small), {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: new Blob([body]).stream(),
      duplex: "half",
    } as RequestInit); // its type does not know `duplex`

    for (const response of [announced, chunked]) {
      expect([response.status, await errorCode(response)]).toEqual([413, "body_too_large"]);
    }
  });

  test("requests beyond the bound are told to come back, and later ones are answered", async () => {
    await using narrow = await startReady(nats, { PUBLISHER_MAX_IN_FLIGHT: "2", PUBLISHER_REQUEST_TIMEOUT_MS: "300" });
    worker.outcome = "silence";

    const slow = { target: { connection: "worker01.1" }, data: "x" };
    const responses = await Promise.all([1, 2, 3, 4].map(() => post(slow, narrow)));

    expect(responses.map(({ status }) => status).sort()).toEqual([429, 429, 503, 503]);
    expect(responses.find(({ status }) => status === 429)?.headers.get("retry-after")).toBe("1");
    expect((await fetch(url("/?content=x", narrow))).status).toBe(200);
  });

  test("bodies held at once are bounded, and what was held is given back", async () => {
    const limits = { PUBLISHER_MAX_BODY_BYTES: "60000", PUBLISHER_MAX_HELD_BODY_BYTES: "100000" };
    await using narrow = await startReady(nats, { ...limits, PUBLISHER_REQUEST_TIMEOUT_MS: "300" });
    worker.outcome = "silence";

    const slow = { target: { connection: "worker01.1" }, data: "x".repeat(40_000) };
    const responses = await Promise.all([1, 2, 3, 4].map(() => post(slow, narrow)));

    expect(responses.map(({ status }) => status).sort()).toEqual([429, 429, 503, 503]);
    worker.outcome = "delivered";
    expect((await post(slow, narrow)).status).toBe(200);
  });
});

describe("NATS without JetStream", () => {
  test("durable publications and history are 503 that says why, and live ones are not", async () => {
    const responses = [
      await post({ target: { topic: "a" }, data: "x", durable: true }),
      await post([{ target: { user: "a" }, data: "x", durable: true }]),
      await fetch(url("/v1/topics/a/publications")),
    ];

    for (const response of responses) {
      expect([response.status, response.headers.get("retry-after")]).toEqual([503, "1"]);
      expect(await errorOf(response)).toMatchObject({
        code: "log_unavailable",
        message: expect.stringMatching(/nothing was stored.*without JetStream/),
      });
    }
    const mixed = await post([
      { target: { topic: "a" }, data: "live" },
      { target: { topic: "a" }, data: "x", durable: true },
    ]);
    expect(await mixed.json()).toMatchObject({
      results: [{ status: "published" }, { error: { code: "log_unavailable" } }],
    });
  });
});

describe("NATS away", () => {
  const routes: [method: string, path: string, body?: string][] = [
    ["GET", "/?content=x"],
    ["GET", "/?to_worker_id=worker01&to_connection_id=1&content=x"],
    ["POST", "/v1/publications", '{"target":{"everyone":true},"data":"x"}'],
    ["POST", "/v1/publications", '{"target":{"connection":"worker01.1"},"data":"x"}'],
    ["POST", "/v1/publications", '[{"target":{"everyone":true},"data":"x"},{"target":{"everyone":true},"data":"x"}]'],
    ["POST", "/v1/publications", '{"target":{"topic":"a"},"data":"x","durable":true}'],
    ["GET", "/v1/topics/a/publications"],
    ["GET", "/v1/connections/worker01.1"],
    ["HEAD", "/v1/connections/worker01.1"],
    ["DELETE", "/v1/connections/worker01.1"],
    ["GET", "/v1/cluster"],
  ];

  async function expectUnavailable(to: Publisher): Promise<void> {
    for (const [method, path, body] of routes) {
      const headers = { "Content-Type": "application/json" };
      const response = await fetch(url(path, to), { method, headers, ...(body !== undefined && { body }) });
      expect([response.status, response.headers.get("retry-after")], `${method} ${path}`).toEqual([503, "1"]);
      if (method !== "HEAD") expect(await errorCode(response)).toBe("nats_unavailable");
    }
    expect(await readiness(to)).toBe(503);
    expect((await fetch(`http://127.0.0.1:${to.adminPort}/healthz`)).status).toBe(200);
    expect((await fetch(url("/?a=nothing to send", to))).status).toBe(200);
  }

  test("is 503 for all that needs it, and over when it is back on its port", async () => {
    await using passing = await NatsServer.run();
    await using started = await startReady(passing);

    await passing.stop();
    await vi.waitUntil(async () => !(await isReady(started)));
    await expectUnavailable(started);

    await passing.start();
    await vi.waitUntil(() => isReady(started), { timeout: 15_000 });
    expect((await fetch(url("/?content=x", started))).status).toBe(200);
  });

  test("from the beginning is no reason not to start", async () => {
    await using late = await NatsServer.run();
    await late.stop();
    await using started = await startPublisher(configFor(late), { log }, never);

    await expectUnavailable(started);

    await late.start();
    await vi.waitUntil(() => isReady(started), { timeout: 15_000 });
    expect((await fetch(url("/?content=x", started))).status).toBe(200);
  });

  test("a publication NATS forbids is said to be forbidden", async () => {
    const users = 'authorization { users: [{ user: a, password: b, permissions: { publish: ["_INBOX.>"] } }] }';
    await using strict = await NatsServer.run(users);
    await using started = await startReady(strict, { FANWIRE_NATS_USER: "a", FANWIRE_NATS_PASSWORD: "b" });

    for (const response of [
      await fetch(url("/?content=x", started)),
      await post({ target: { everyone: true }, data: "x" }, started),
      await post({ target: { connection: "worker01.1" }, data: "x" }, started),
      await fetch(url("/v1/connections/worker01.1", started)),
      await fetch(url("/v1/cluster", started)),
    ]) {
      expect([response.status, await errorCode(response)], response.url).toEqual([500, "nats_forbidden"]);
    }
  });

  test("credentials that cannot be read end the start", async () => {
    const config = configFor(nats, { FANWIRE_NATS_CREDS_FILE: "/nowhere/a.creds" });

    await expect(startPublisher(config, { log }, never)).rejects.toThrow("ENOENT");
  });
});

describe("around the routes", () => {
  test("an unknown address is 404, in JSON", async () => {
    for (const path of ["/nope", "/v1", "/v1/nope", "/index.php?content=x", "//"]) {
      const response = await fetch(url(path));
      expect([response.status, await errorCode(response)], path).toEqual([404, "not_found"]);
    }
  });

  test("an unknown method is 405 and told the known ones", async () => {
    const response = await fetch(url("/v1/connections/worker01.1"), { method: "POST" });

    expect([response.status, response.headers.get("allow")]).toEqual([405, "DELETE, GET, HEAD"]);
  });

  test("answers are not stored, not sniffed, not framed", async () => {
    const { headers } = await fetch(url("/?content=x"));

    expect(headers.get("cache-control")).toBe("no-store");
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    expect(headers.get("content-security-policy")).toContain("frame-ancestors 'none'");
    expect(headers.get("server")).toBeNull();
  });

  test("requests and publications are counted by pattern, not by path", async () => {
    await fetch(url("/v1/connections/worker01.1"));
    await fetch(url("/nope/with/a/path"));
    await post({ target: { connection: "worker99.1" }, data: "x" });

    const metrics = await (await fetch(`http://127.0.0.1:${publisher.adminPort}/metrics`)).text();
    expect(metrics).toContain('requests_total{route="/v1/connections/{address}",method="GET",status="200"}');
    expect(metrics).toContain('requests_total{route="unmatched",method="GET",status="404"}');
    expect(metrics).toContain('publications_total{target="connection",outcome="connection_not_found"}');
    expect(metrics).toMatch(/^fanwire_publisher_in_flight 0$/m);
    expect(metrics).toMatch(/^fanwire_publisher_held_body_bytes 0$/m);
    expect(metrics).not.toContain("/nope");
  });

  test("neither keys nor content are logged", async () => {
    const key = "right-key-0123456789";
    const lines: string[] = [];
    const write = vi.spyOn(process.stdout, "write").mockImplementation((line) => lines.push(String(line)) > 0);
    const loud = createLog("test", "trace");
    await using started = await startPublisher(configFor(nats, { PUBLISHER_API_KEYS: key }), { log: loud }, never);
    await vi.waitUntil(() => isReady(started));

    await fetch(url(`/?content=secret-content&key=${key}`, started));
    await fetch(url(`/nope?key=${key}`, started));
    await rawGet(`/?content=я&key=${key}`, started);
    await rawGet(`/\\?key=${key}`, started);
    await post({ target: { everyone: true }, data: "secret-content" }, started, { Authorization: `Bearer ${key}` });
    await started.stop();
    write.mockRestore();

    expect(lines.join("")).toContain("answered");
    expect(lines.join("")).not.toMatch(/right-key|secret-content/);
  });
});

describe("stopping", () => {
  test("lets requests in hand finish, takes no new ones, and may be asked for twice", async () => {
    const started = await startReady(nats, { PUBLISHER_REQUEST_TIMEOUT_MS: "400" });
    worker.outcome = "silence";

    const inHand = post({ target: { connection: "worker01.1" }, data: "x" }, started);
    await hears(1);
    const stopped = started.stop();
    expect(started.stop()).toBe(stopped);
    await expect(fetch(url("/?content=x", started))).rejects.toThrow();
    const response = await inHand;
    await stopped;

    expect([response.status, response.headers.get("connection")]).toEqual([503, "close"]);
  });

  test("does not wait for NATS that was never there", async () => {
    await using absent = await NatsServer.run();
    await absent.stop();
    const started = await startPublisher(configFor(absent), { log }, never);

    await started.stop();
    await expect(fetch(url("/", started))).rejects.toThrow();
  });
});
