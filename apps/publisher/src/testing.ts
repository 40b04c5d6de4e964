import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type Bus, type BusMessage, type NatsBus, parseJson, startNatsBus } from "@fanwire/bus";
import {
  type ControlRequest,
  controlRequest,
  type DeliveryOutcome,
  Subjects,
  type WorkerDescription,
} from "@fanwire/protocol";
import { createLog } from "@fanwire/service";
import { afterAll, afterEach, beforeAll, vi } from "vitest";
import { type PublisherConfig, readConfig } from "./config.ts";
import { type Publisher, startPublisher } from "./publisher.ts";

export const log = createLog("test", "silent");
export const never = new AbortController().signal;
const subjects = new Subjects();
const NATS_MISSING = "nats-server not found: run `npm test`, which fetches one, or put one on PATH";

/** A separate nats-server. `start` after `stop` uses the same port again. */
export class NatsServer {
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
    await once(this.#process, "spawn").catch((cause: unknown) => {
      throw new Error(NATS_MISSING, { cause });
    });
    const file = join(portsFolder, `nats-server_${this.#process.pid}.ports`);
    // nats-server may not have written all of it.
    const readPorts = () =>
      readFile(file, "utf8")
        .then(JSON.parse)
        .catch(() => undefined);
    const ports = await vi.waitUntil(readPorts, { timeout: 10_000 });
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

export const configFor = (nats: { port: number }, env: Record<string, string> = {}) =>
  readConfig({
    FANWIRE_NATS_URL: `nats://127.0.0.1:${nats.port}`,
    PUBLISHER_PORT: "0",
    PUBLISHER_ADMIN_PORT: "0",
    ...env,
  });

export const readiness = async ({ adminPort }: Publisher) =>
  (await fetch(`http://127.0.0.1:${adminPort}/readyz`)).status;
export const isReady = async (publisher: Publisher) => (await readiness(publisher)) === 200;

/** `constants` replace values of the configuration that have no setting. */
export async function startReady(
  nats: NatsServer,
  env: Record<string, string> = {},
  constants: Partial<PublisherConfig> = {},
): Promise<Publisher> {
  const publisher = await startPublisher({ ...configFor(nats, env), ...constants }, { log }, never);
  await vi.waitUntil(() => isReady(publisher), { timeout: 10_000 });
  return publisher;
}

type Received = { readonly subject: string; readonly content: Buffer; readonly headers: Record<string, string> };

/** Subscribes as a pusher does, records what it receives, and answers as one worker does. */
class FakeWorker {
  readonly received: Received[] = [];
  outcome: DeliveryOutcome | "silence" | "invalid" = "delivered";
  readonly closed: number[] = [];
  readonly #id: string;

  constructor(id: string) {
    this.#id = id;
  }

  listen(bus: Bus): void {
    bus.subscribe(subjects.live({ kind: "everyone" }), (message) => this.#receive(message));
    bus.subscribe(subjects.liveTopics(">"), (message) => this.#receive(message));
    bus.subscribe("fanwire.live.user.*", (message) => this.#receive(message));
    bus.subscribe(subjects.liveConnections(this.#id), (message) => this.#onTargeted(message));
    bus.subscribe(subjects.worker(this.#id), (message) => this.#onControl(message));
    bus.subscribe(subjects.allWorkers, (message) => this.#onControl(message));
  }

  #receive({ subject, data, headers }: BusMessage): void {
    const names = ["Event", "Id", "Except"].filter((name) => headers?.get(name));
    const entries = names.map((name) => [name, headers?.get(name) ?? ""]);
    this.received.push({ subject, content: Buffer.from(data), headers: Object.fromEntries(entries) });
  }

  #onTargeted(message: BusMessage): void {
    this.#receive(message);
    if (this.outcome === "silence") return;
    message.respond(this.outcome === "invalid" ? "no JSON" : JSON.stringify({ outcome: this.outcome }));
  }

  #onControl(message: BusMessage): void {
    if (this.outcome === "silence") return;
    const reply = this.#replyTo(controlRequest.parse(parseJson(message)));
    if (reply !== undefined) message.respond(JSON.stringify(reply));
  }

  #replyTo(request: ControlRequest): object | undefined {
    if (request.command === "describe") return this.describe();
    if (request.command === "recall-worker") return { worker: this.#id, state: "unknown" };
    if (request.command === "recall-workers") return { worker: this.#id, workers: [], isComplete: true };
    if (request.command !== "find-connection" && request.command !== "close-connection") return undefined;
    const { connectionId } = request;
    if (request.command === "close-connection" && connectionId === 1) this.closed.push(connectionId);
    return { connection: connectionId === 1 ? this.connection() : null };
  }

  /** Waits until this worker has received `count` publications. */
  receives(count: number): Promise<unknown> {
    return vi.waitUntil(() => this.received.length >= count, { timeout: 10_000 });
  }

  receivedContents(): string[] {
    return this.received.map(({ content }) => content.toString("latin1"));
  }

  reset(): void {
    this.received.length = 0;
    this.closed.length = 0;
    this.outcome = "delivered";
  }

  describe(): WorkerDescription {
    const rates = { publicationsPerSecond: 0, deliveriesPerSecond: 0, bytesPerSecond: 0, acceptedPerSecond: 0 };
    return { id: this.#id, host: "h", pid: 1, version: "0.1.0", uptimeSeconds: 5, connections: 1, rates };
  }

  connection() {
    const own = { address: `${this.#id}.1`, openedAt: "2026-01-01T00:00:00.000Z" };
    return { ...own, protocol: "raw", topics: [], remoteAddress: "127.0.0.1", unsentBytes: 0 };
  }
}

/** Starts a separate NATS for the tests of one file, and passes it and a bus on it to `onStart` before the first test. */
export function useBus(onStart: (bus: NatsBus, nats: NatsServer) => void): void {
  let nats: NatsServer;
  let bus: NatsBus;

  beforeAll(async () => {
    nats = await NatsServer.run();
    bus = await startNatsBus({ config: configFor(nats).bus, name: "test", log, signal: never });
    onStart(bus, nats);
  });

  afterAll(async () => {
    await bus.stop();
    await nats[Symbol.asyncDispose]();
  });
}

/**
 * Starts a publisher on a separate NATS with two workers, for the tests of one file. `worker` is one of them. Functions
 * with a publisher as parameter use this one by default.
 */
export function usePublisher() {
  const worker = new FakeWorker("worker01");
  let nats: NatsServer;
  let workerBus: NatsBus;
  let publisher: Publisher;

  beforeAll(async () => {
    nats = await NatsServer.run();
    workerBus = await startNatsBus({ config: configFor(nats).bus, name: "fake worker", log, signal: never });
    worker.listen(workerBus);
    new FakeWorker("aworker2").listen(workerBus);
    publisher = await startReady(nats);
  }, 30_000);

  afterEach(() => worker.reset());

  afterAll(async () => {
    await publisher.stop();
    await workerBus.stop();
    await nats[Symbol.asyncDispose]();
  });

  const url = (path: string, { port } = publisher) => `http://127.0.0.1:${port}${path}`;
  return {
    worker,
    url,
    /** Must be called in tests, which run after the start. */
    running: () => ({ nats, publisher }),
    /** Starts another publisher on the same NATS. */
    startAnother: (env: Record<string, string>, constants?: Partial<PublisherConfig>) =>
      startReady(nats, env, constants),
    post: (body: unknown, to = publisher, headers: Record<string, string> = {}) =>
      fetch(url("/v1/publications", to), {
        method: "POST",
        headers: { "Content-Type": "application/json", ...headers },
        body: typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body),
      }),
    /** Sends a target without encoding it, as curl does. */
    rawGet: (target: string | Buffer, to = publisher) => {
      const parts = ["GET ", target, " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"];
      return exchangeBytes(to.port, Buffer.concat(parts.map((part) => Buffer.from(part))));
    },
    /** Sends bytes unchanged, on one connection. */
    rawExchange: (bytes: string, to = publisher) => exchangeBytes(to.port, bytes),
  };
}

/**
 * Sends bytes, each part in its own packet, and returns everything that the server sends until it closes the
 * connection.
 */
export async function exchangeBytes(port: number, ...parts: (string | Buffer)[]): Promise<string> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  let answer = "";
  socket.on("data", (chunk) => {
    answer += chunk;
  });
  socket.on("error", () => {}); // the server may refuse before it has received everything
  const closed = new Promise((resolve) => socket.once("close", resolve));
  for (const [at, part] of parts.entries()) {
    if (at > 0) await delay(20);
    await new Promise((resolve) => socket.write(part, resolve));
  }
  await closed;
  return answer;
}

type ErrorBody = { readonly error: { readonly code: string; readonly details?: unknown } };
export const errorOf = async (response: Response) => ((await response.json()) as ErrorBody).error;
export const errorCode = async (response: Response) => (await errorOf(response)).code;
