import { monitorEventLoopDelay } from "node:perf_hooks";
import { until } from "../support/wait.ts";
import { ChannelTraffic } from "./channel-traffic.ts";
import { type ChaosCluster, startChaosCluster } from "./cluster.ts";
import { type Fault, type FaultContext, faults } from "./faults.ts";
import { Ledger, type Reader } from "./ledger.ts";
import { Load } from "./load.ts";
import { writePostMortem } from "./post-mortem.ts";
import { Random } from "./random.ts";
import { type ChaosClient, connectFanwireReader, connectRawReader, connectSseReader } from "./readers.ts";
import { brief, type FaultRow, formatRow, Report } from "./report.ts";
import { selectFaults } from "./selection.ts";
import type { Part } from "./service-process.ts";

/** Readiness must be red within this time: five seconds without an answer from NATS, and a request. */
const RED_WITHIN_MS = 10_000;
/** Readiness must be green within this time after the end of the fault. A replaced part has started by then. */
const GREEN_WITHIN_MS = 10_000;
/** Steps that take longer are printed. Only a loaded machine needs longer, so that it is no failure. */
const SLOW_MS = 5_000;
const BACK_WITHIN_MS = 120_000;
/** All connections to NATS pass this process. Its own delays above this are printed, to show their cause. */
const BUSY_MS = 250;

type Options = {
  readonly seed: number;
  /** No fault begins after this time. */
  readonly seconds: number;
  /** Maximum number of times that each fault is injected. */
  readonly rounds?: number | undefined;
  /** Parts of names, separated by `|`. Only faults whose name contains one are injected. */
  readonly only?: string | undefined;
  say(line: string): void;
};

/** Runs faults in an order that the seed decides, each once before any of them again. */
export async function runChaos(options: Options): Promise<Report> {
  const { seed, seconds, rounds = Number.POSITIVE_INFINITY, only = "", say } = options;
  const random = new Random(seed);
  const ledger = new Ledger();
  const report = new Report(seed, ledger);
  await using cluster = await startChaosCluster();
  const run = new Run(cluster, ledger, report, random);
  await run.begin();
  const endsAt = performance.now() + seconds * 1_000;
  const server = cluster.history.bus.connection.info?.version ?? "";
  const hasDisk = cluster.nats.nodes.some(({ hasOwnDisk }) => hasOwnDisk);
  const selection = selectFaults(faults, { server, hasDisk, seconds, only });
  for (const line of [`nats-server ${server}; seed ${seed}`, ...selection.skipped]) say(line);
  // When the nodes of NATS hold different histories, later results are no evidence about Fanwire.
  const isOver = () => performance.now() > endsAt || ledger.isRenumbered;
  for (let round = 1; round <= rounds && !isOver(); round++) {
    for (const fault of random.shuffled(selection.faults)) {
      if (isOver()) break;
      const known = new Set(report.failures);
      say(formatRow(await run.inject(fault)));
      const failures = report.failures.filter((failure) => !known.has(failure));
      for (const line of [...report.postMortem.splice(0), ...brief(failures)]) say(`    FAILED ${line}`);
    }
  }
  await run.end();
  say(run.text());
  return report;
}

class Run {
  readonly #cluster: ChaosCluster;
  readonly #ledger: Ledger;
  readonly #report: Report;
  readonly #random: Random;
  readonly #clients: ChaosClient[];
  readonly #load: Load;
  readonly #channels: ChannelTraffic;
  readonly #startedAt = performance.now();
  #concerned = new Set<string>();
  #fault = "nothing yet";
  #disconnected = 0;
  #slow: string[] = [];
  readonly #lag = monitorEventLoopDelay({ resolution: 10 });
  #settled = 0;

  constructor(cluster: ChaosCluster, ledger: Ledger, report: Report, random: Random) {
    this.#cluster = cluster;
    this.#ledger = ledger;
    this.#report = report;
    this.#random = random;
    this.#clients = this.#connectRawClients();
    this.#load = new Load(cluster, ledger, this.#clients);
    this.#channels = new ChannelTraffic(cluster.channels, (name) => this.#onDisconnect(name, `a peer of ${name}`));
  }

  async begin(): Promise<void> {
    await this.#untilConnected();
    // Readers must receive all publications from this one on: every reader is connected and has a position.
    const sequence = await this.#load.publishMarker(this.#cluster.publishers[0]?.service.url ?? "");
    for (const reader of this.#ledger.readers) reader.forgive(sequence - 1);
    await this.#untilComplete(sequence);
    this.#lag.enable();
    this.#load.start();
    await this.#untilWhole();
  }

  /** Injects the fault and waits until the cluster has recovered. */
  async inject(fault: Fault): Promise<FaultRow> {
    this.#fault = fault.name;
    this.#concerned = new Set();
    this.#disconnected = 0;
    this.#slow = [];
    this.#lag.reset();
    const redAfterMs: Record<string, number> = {};
    const startedAt = performance.now();
    await fault.run(this.#context(redAfterMs)).catch((error) => {
      this.#report.late.push(`${fault.name}: ${error}`);
    });
    for (const { name, failedStarts } of this.#cluster.parts) {
      for (const error of failedStarts.splice(0))
        this.#report.late.push(`${fault.name}: ${name} did not start: ${error}`);
    }

    const healedAt = performance.now();
    const { parts } = this.#cluster;
    await this.#inTime("ready", () =>
      until("the part is ready", () => parts.every(({ isReady }) => isReady), BACK_WITHIN_MS),
    );
    const readyAfterMs = performance.now() - healedAt;
    if (readyAfterMs > GREEN_WITHIN_MS) this.#report.late.push(`${fault.name}: readiness was green late`);
    await this.#untilWhole();
    const busyMs = this.#lag.max / 1e6;
    if (busyMs > BUSY_MS) this.#slow.push(`the suite itself busy ${Math.round(busyMs)} ms`);
    const row: FaultRow = {
      name: fault.name,
      startedAtMs: startedAt - this.#startedAt,
      redAfterMs,
      readyAfterMs,
      backAfterMs: performance.now() - healedAt,
      disconnected: this.#disconnected,
      slow: this.#slow,
    };
    this.#report.rows.push(row);
    return row;
  }

  async end(): Promise<void> {
    this.#lag.disable();
    await this.#load.stop();
    await this.#untilWhole();
    this.#ledger.settle(this.#settled);
    for (const client of this.#clients) client.close();
    await this.#channels.stop();
    this.#report.repeatedEvents.push(...this.#channels.repeated);
  }

  text(): string {
    return this.#report.text({
      "refused or not answered": this.#load.refused,
      "channel events published": this.#channels.published,
      "channel events received": this.#channels.received,
    });
  }

  #context(redAfterMs: Record<string, number>): FaultContext {
    return {
      cluster: this.#cluster,
      random: this.#random,
      concern: (...names) => {
        for (const name of names) this.#concerned.add(name);
      },
      untilRed: async (...parts) => {
        const startedAt = performance.now();
        await Promise.all(parts.map((part) => this.#untilRed(part, startedAt, redAfterMs)));
      },
    };
  }

  async #untilRed(part: Part, startedAt: number, redAfterMs: Record<string, number>): Promise<void> {
    await this.#inTime(`${part.name} red`, () =>
      until("the part is not ready", () => !part.isReady, 2 * RED_WITHIN_MS),
    );
    redAfterMs[part.name] = performance.now() - startedAt;
    if (performance.now() - startedAt > RED_WITHIN_MS)
      this.#report.late.push(`${this.#fault}: ${part.name} was red late`);
  }

  /** Waits until all clients are connected, all publishers publish, and all acknowledged publications have arrived. */
  async #untilWhole(): Promise<void> {
    await this.#inTime("connected", () => this.#untilConnected());
    let sequence = 0;
    for (const { service } of this.#cluster.publishers) {
      await this.#inTime("publishing", () =>
        until(
          "it publishes",
          async () => {
            sequence = await this.#load.publishMarker(service.url).catch(() => 0);
            return sequence > 0;
          },
          BACK_WITHIN_MS,
        ),
      );
    }
    const isComplete = await this.#inTime("complete", () => this.#untilComplete(sequence));
    if (!isComplete)
      this.#report.postMortem.push(...(await writePostMortem(this.#cluster, this.#ledger.missing(sequence))));
    await this.#inTime("channels", () => this.#channels.untilAllReceive());
    // Settles one round later, because readers that cannot resume may be a moment behind the others.
    this.#ledger.settle(this.#settled);
    this.#settled = sequence;
  }

  #untilConnected(): Promise<unknown> {
    return until(
      "all clients are connected",
      () => this.#clients.every((client) => client.address() !== undefined),
      BACK_WITHIN_MS,
    );
  }

  #untilComplete(sequence: number): Promise<unknown> {
    return until("all is delivered", this.#ledger.completion(sequence), BACK_WITHIN_MS);
  }

  async #inTime(what: string, wait: () => Promise<unknown>): Promise<boolean> {
    const startedAt = performance.now();
    try {
      await wait();
      if (performance.now() - startedAt > SLOW_MS)
        this.#slow.push(`${what} ${Math.round(performance.now() - startedAt)} ms`);
      return true;
    } catch (error) {
      const missing = this.#ledger.missing(Number.POSITIVE_INFINITY).length;
      this.#report.late.push(`${this.#fault}: not ${what} in time: ${error}; ${missing} missing`);
      return false;
    }
  }

  #connectRawClients(): ChaosClient[] {
    const open = (
      protocol: typeof connectFanwireReader,
      kind: string,
      user: string | undefined,
      subscriptions: readonly string[],
    ) => {
      const name = `${kind} ${this.#ledger.readers.length + 1} (${subscriptions.join(", ")})`;
      const reader = this.#ledger.addReader({ name, user, subscriptions, resumes: kind !== "raw" });
      const events = {
        disconnected: (_: Reader, address: string, how: string) =>
          this.#onDisconnect(address.split(".")[0] ?? "", `${name} on ${address} (${how})`),
        notRecovered: () => void this.#report.notRecovered.push(`${this.#fault}: ${name}`),
      };
      return protocol({ cluster: this.#cluster, ledger: this.#ledger, reader, events });
    };
    return [
      ...["anna", "bob", "anna", undefined].flatMap((user) => [
        open(connectFanwireReader, "fanwire", user, ["load.1", "load.2"]),
        open(connectFanwireReader, "fanwire", user, ["load.*"]),
        open(connectFanwireReader, "fanwire", user, ["load.3", "load.*", "load.>"]),
      ]),
      ...["bob", "carol"].flatMap((user) => [
        open(connectSseReader, "sse", user, ["load.4"]),
        open(connectSseReader, "sse", user, ["load.*"]),
      ]),
      // A third of all readers: workers write bursts one by one only to a large number of connections.
      ...["carol", undefined, "bob", undefined].flatMap((user) => [
        open(connectRawReader, "raw", user, ["load.5"]),
        open(connectRawReader, "raw", user, ["load.*"]),
      ]),
    ];
  }

  #onDisconnect(name: string, what: string): void {
    if (this.#concerned.has(name)) this.#disconnected++;
    else this.#report.unjust.push(`${this.#fault}: ${what} was disconnected`);
  }
}
