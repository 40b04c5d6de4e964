import type { Ledger } from "./ledger.ts";

const MAX_TOLD = 10;

/** Effect of one fault. Times are in milliseconds. */
export type FaultRow = {
  readonly name: string;
  readonly startedAtMs: number;
  /** Time until readiness was red, by part, where it had to become red. */
  readonly redAfterMs: Record<string, number>;
  /** Time from the end of the fault until all parts were ready. */
  readyAfterMs: number;
  /** Time until all clients are connected, publishing works, and all acknowledged publications have arrived. */
  backAfterMs: number;
  /** Number of connections that the fault was allowed to end. */
  disconnected: number;
  /** The slowest steps of the recovery. */
  slow: readonly string[];
};

/** Results of a run, printed while it runs and at its end. */
export class Report {
  readonly seed: number;
  readonly rows: FaultRow[] = [];
  /** Connections that ended although the fault did not concern them. */
  readonly unjust: string[] = [];
  /** Readers that were not recovered. */
  readonly notRecovered: string[] = [];
  /** Events that a peer of a channel server received twice. */
  readonly repeatedEvents: string[] = [];
  /** Parts that missed a time limit. */
  readonly late: string[] = [];
  /** Lines of the post-mortem that are not printed yet. */
  readonly postMortem: string[] = [];
  readonly #ledger: Ledger;

  constructor(seed: number, ledger: Ledger) {
    this.seed = seed;
    this.#ledger = ledger;
  }

  /** Failures. A run passes when there are none. */
  get failures(): string[] {
    const { unjust, notRecovered, repeatedEvents, late } = this;
    return [...Object.values(this.#ledger.faults).flat(), ...unjust, ...notRecovered, ...repeatedEvents, ...late];
  }

  text(extra: Readonly<Record<string, number>>): string {
    const { lost, repeated, disordered, misdelivered, altered, renumbered, byRenumbering } = this.#ledger.faults;
    const totals = {
      "faults injected": this.rows.length,
      published: this.#ledger.published,
      "durable ones acknowledged": this.#ledger.acknowledged,
      deliveries: this.#ledger.delivered,
      "of them to one connection": this.#ledger.pushed,
      ...extra,
      "connections dropped by a fault of their own": this.rows.reduce((sum, { disconnected }) => sum + disconnected, 0),
      "dropped without one": this.unjust.length,
      "acknowledged and lost": lost.length,
      "not recovered": this.notRecovered.length,
      repeated: repeated.length + this.repeatedEvents.length,
      "out of order": disordered.length,
      "delivered to another client": misdelivered.length,
      "altered on the way": altered.length,
      "renumbered by NATS": renumbered.length,
      "lost, repeated or out of order for that": byRenumbering.length,
    };
    return [
      `chaos, seed ${this.seed}`,
      ...this.rows.map(formatRow),
      "",
      ...Object.entries(totals).map(([name, count]) => `${String(count).padStart(9)} ${name}`),
      ...[...this.postMortem, ...brief(this.failures)].map((failure) => `FAILED ${failure}`),
    ].join("\n");
  }

  json(): object {
    const { published, acknowledged, delivered, pushed, faults } = this.#ledger;
    const { seed, rows, unjust, notRecovered, repeatedEvents, late } = this;
    const counts = { published, acknowledged, delivered, pushed };
    return { seed, ...counts, ...faults, unjust, notRecovered, repeatedEvents, late, rows };
  }
}

export function formatRow({ name, redAfterMs, readyAfterMs, backAfterMs, disconnected, slow }: FaultRow): string {
  const red = Object.entries(redAfterMs).map(([part, ms]) => `${part} red after ${seconds(ms)}`);
  const facts = [`ready after ${seconds(readyAfterMs)}`, `whole after ${seconds(backAfterMs)}`];
  return `  ${name.padEnd(42)} ${[...facts, `${disconnected} disconnected`, ...red, ...slow].join(", ")}`;
}

/** One cause has hundreds of consequences, so that only the first are printed. */
export function brief(failures: readonly string[]): string[] {
  const more = failures.length - MAX_TOLD;
  return more > 0 ? [...failures.slice(0, MAX_TOLD), `and ${more} more`] : [...failures];
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
