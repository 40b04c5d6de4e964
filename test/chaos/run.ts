import { monitorEventLoopDelay } from "node:perf_hooks";
import { until } from "../support/wait.ts";
import { ChannelTraffic } from "./channel-traffic.ts";
import { type ChaosCluster, startChaosCluster } from "./cluster.ts";
import { type Fault, type FaultContext, faults } from "./faults.ts";
import { holdInquest } from "./inquest.ts";
import { Ledger, type Reader } from "./ledger.ts";
import { Load } from "./load.ts";
import type { Part } from "./part.ts";
import { Random } from "./random.ts";
import { type ChaosClient, connectFanwireReader, connectRawReader, connectSseReader } from "./readers.ts";
import { brief, type FaultRow, formatRow, Report } from "./report.ts";
import { selectFaults } from "./selection.ts";

/** Readiness is to tell the truth within so many milliseconds: five seconds of silence, and what asking takes. */
const RED_WITHIN_MS = 10_000;
/** As for red. From when the fault was taken back: a part that was replaced is ready by then. */
const GREEN_WITHIN_MS = 10_000;
/** A machine with other work is given time; that it comes back at all is what is asserted. */
const SLOW_MS = 5_000;
const BACK_WITHIN_MS = 120_000;
/** All connections to NATS pass this process: what it holds up itself is told, so that nobody else is blamed. */
const BUSY_MS = 250;

type Options = {
  readonly seed: number;
  /** No fault begins after this. */
  readonly seconds: number;
  /** No fault comes more often. */
  readonly rounds?: number | undefined;
  /** Parts of faults' names, separated by `|`: only those. */
  readonly only?: string | undefined;
  say(line: string): void;
};

/** One run: faults in an order that the seed decides, each once before any comes again. */
export async function runChaos(options: Options): Promise<Report> {
  const { seed, seconds, rounds = Number.POSITIVE_INFINITY, only = "", say } = options;
  const random = new Random(seed);
  const ledger = new Ledger();
  const report = new Report(seed, ledger);
  await using cluster = await startChaosCluster();
  const run = new Run(cluster, ledger, report, random);
  await run.begin();
  const endsAt = performance.now() + seconds * 1_000;
  const server = cluster.log.bus.connection.info?.version ?? "";
  const hasDisk = cluster.nats.nodes.some(({ hasOwnDisk }) => hasOwnDisk);
  const selection = selectFaults(faults, { server, hasDisk, seconds, only });
  for (const line of [`nats-server ${server}; seed ${seed}`, ...selection.skipped]) say(line);
  // When its nodes hold different logs, nothing that follows tells anything of us.
  const isOver = () => performance.now() > endsAt || ledger.isRenumbered;
  for (let round = 1; round <= rounds && !isOver(); round++) {
    for (const fault of random.shuffled(selection.faults)) {
      if (isOver()) break;
      const known = new Set(report.failures);
      say(formatRow(await run.inject(fault)));
      const failures = report.failures.filter((failure) => !known.has(failure));
      for (const line of [...report.inquest.splice(0), ...brief(failures)]) say(`    FAILED ${line}`);
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
    this.#clients = this.#connectClients();
    this.#load = new Load(cluster, ledger, this.#clients);
    this.#channels = new ChannelTraffic(cluster.channels, (name) => this.#onDisconnect(name, `a peer of ${name}`));
  }

  async begin(): Promise<void> {
    await this.#untilConnected();
    // What is owed begins with what is published when everybody is there and has a position.
    const sequence = await this.#load.publishMarker(this.#cluster.publishers[0]?.service.url ?? "");
    for (const reader of this.#ledger.readers) reader.forgive(sequence - 1);
    await this.#untilComplete(sequence);
    this.#lag.enable();
    this.#load.start();
    await this.#untilWhole();
  }

  /** Carries it out and waits until everything is as it was. */
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
    await this.#inTime("ready", () => until("ready", () => parts.every(({ isReady }) => isReady), BACK_WITHIN_MS));
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
      "channel events heard": this.#channels.heard,
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
    await this.#inTime(`${part.name} red`, () => until("red", () => !part.isReady, 2 * RED_WITHIN_MS));
    redAfterMs[part.name] = performance.now() - startedAt;
    if (performance.now() - startedAt > RED_WITHIN_MS)
      this.#report.late.push(`${this.#fault}: ${part.name} was red late`);
  }

  /** Everybody is connected, publishing works everywhere, and what was acknowledged until then has come. */
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
    if (!isComplete) this.#report.inquest.push(...(await holdInquest(this.#cluster, this.#ledger.missing(sequence))));
    await this.#inTime("channels", () => this.#channels.untilAllHear());
    // One round later: readers that cannot resume may be a moment behind the others.
    this.#ledger.settle(this.#settled);
    this.#settled = sequence;
  }

  #untilConnected(): Promise<unknown> {
    return until(
      "all are connected",
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

  #connectClients(): ChaosClient[] {
    const open = (
      door: typeof connectFanwireReader,
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
      return door({ cluster: this.#cluster, ledger: this.#ledger, reader, events });
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
      // A third of all: only a crowd of them is written to one by one in a burst.
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
