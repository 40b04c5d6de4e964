import { setTimeout as delay } from "node:timers/promises";
import { nowMicros } from "../clock.ts";
import type { ClientFaults, ClientReport, Expectation, OpenPlan } from "./calls.ts";
import { type Address, Connection, type Pool } from "./connection.ts";
import type { Dialect } from "./dialect.ts";
import { Recorder } from "./recorder.ts";

/** Maximum handshakes under way: below the listen backlog of every server. */
const OPENING_AT_ONCE = 200;
const OPEN_TIMEOUT_MS = 300_000;
/**
 * Few of the 28,000 ports of an address, so that the kernel finds a free one at once. With 15,000 in use it takes 0.5
 * ms.
 */
const CONNECTIONS_PER_LOCAL_ADDRESS = 2_000;
/** Pings are sent in this interval, a few at a time. */
const PINGS_EVERY_MS = 20;
/** Wait for repeated arrivals after the last expected one. */
const REPEAT_WINDOW_MS = 100;

/** All connections of the load client, with their results. */
export class ClientPool implements Pool {
  recorder = new Recorder(Number.POSITIVE_INFINITY, 1);
  awaited = 0;
  readonly address: Address;
  readonly dialect: Dialect;
  readonly #size: number;
  readonly #from: number;
  readonly #connections: Connection[] = [];
  #opened = 0;
  #arrived = 0;
  #lastArrivedAt = 0;
  #foreign = 0;
  #ended = 0;
  #firstEnd: string | undefined;
  #pings: NodeJS.Timeout | undefined;
  #cpuBefore = process.cpuUsage();

  constructor(plan: OpenPlan) {
    this.address = plan.address;
    this.dialect = plan.dialect;
    this.#size = plan.connections;
    this.#from = plan.from ?? 0;
    if (plan.expectation !== undefined) this.expect(plan.expectation);
  }

  /** Resolves when all connections are open and greeted. */
  async open(): Promise<void> {
    const connections = this.#size;
    const deadline = performance.now() + OPEN_TIMEOUT_MS;
    while (this.#opened < connections) {
      if (this.#firstEnd !== undefined) throw new Error(`a connection could not be opened: ${this.#firstEnd}`);
      if (performance.now() > deadline) throw new Error(`only ${this.#opened} of ${connections} connections opened`);
      const limit = Math.min(connections, this.#opened + OPENING_AT_ONCE);
      while (this.#connections.length < limit) {
        const index = this.#connections.length;
        this.#connections.push(new Connection(this, this.#from + index, localAddress(index)));
      }
      await delay(1);
    }
    this.#startPings();
  }

  /** Sends the pings of all connections evenly. */
  #startPings(): void {
    const { ping } = this.dialect;
    if (ping === undefined) return;
    const startedAt = performance.now();
    let sent = 0;
    this.#pings = setInterval(() => {
      const due = (this.#size * (performance.now() - startedAt)) / ping.everyMs;
      for (; sent < due; sent++) this.#connections[sent % this.#size]?.ping(ping.frame);
    }, PINGS_EVERY_MS);
  }

  expect({ total, recordFrom, recordEvery }: Expectation): void {
    this.recorder = new Recorder(recordFrom, recordEvery);
    this.awaited = total;
    this.#arrived = 0;
    this.#lastArrivedAt = 0;
    this.#cpuBefore = process.cpuUsage();
  }

  async settle(quietMs: number): Promise<ClientReport> {
    let seen = -1;
    let seenAt = performance.now();
    while (this.#arrived + this.#ended < this.#connections.length) {
      await delay(20);
      const now = this.#progress();
      if (now !== seen) {
        seen = now;
        seenAt = performance.now();
      } else if (performance.now() - seenAt > quietMs) {
        break;
      }
    }
    if (this.#lastArrivedAt === 0) this.#lastArrivedAt = nowMicros();
    const cpu = process.cpuUsage(this.#cpuBefore);
    await delay(REPEAT_WINDOW_MS);
    return {
      latency: this.recorder.latency(),
      settledAtMicros: this.#lastArrivedAt,
      cpuMicros: cpu.user + cpu.system,
      faults: this.#faults(),
    };
  }

  close(): void {
    clearInterval(this.#pings);
    for (const connection of this.#connections) connection.close();
  }

  onOpen(): void {
    this.#opened++;
  }

  onArrived(): void {
    this.#arrived++;
    if (this.#arrived === this.#connections.length) this.#lastArrivedAt = nowMicros();
  }

  onForeignFrame(): void {
    this.#foreign++;
  }

  onEnd(reason: string): void {
    this.#ended++;
    this.#firstEnd ??= reason;
  }

  #progress(): number {
    return this.#connections.reduce((sum, connection) => sum + connection.sequenceCheck.next, 0);
  }

  #faults(): ClientFaults {
    const faults: ClientFaults = { missing: 0, repeated: 0, late: 0, foreign: this.#foreign, ended: this.#ended };
    if (this.#firstEnd !== undefined) faults.firstEnd = this.#firstEnd;
    for (const connection of this.#connections) {
      const of = connection.sequenceCheck.faults(this.awaited);
      faults.missing += of.missing;
      faults.repeated += of.repeated;
      faults.late += of.late;
    }
    return faults;
  }
}

function localAddress(index: number): string {
  return `127.0.0.${Math.floor(index / CONNECTIONS_PER_LOCAL_ADDRESS) + 1}`;
}
