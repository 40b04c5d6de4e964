import type { Bus } from "@fanwire/bus";

/** Above this, waiting reports are dropped. Webhook senders notice the gap in the numbers and request a snapshot. */
const MAX_WAITING_BYTES = 4_194_304;

/**
 * Publishes the reports of this worker, one at a time, so that the reports that wait for a slow NATS server stay
 * bounded.
 */
export class ReportQueue {
  readonly #bus: Bus;
  readonly #subject: string;
  readonly #workerId: string;
  #waiting: string[] = [];
  #waitingBytes = 0;
  #number = 0;
  #sending: Promise<void> | undefined;
  #sentReports = 0;
  #lostReports = 0;

  constructor(bus: Bus, subject: string, workerId: string) {
    this.#bus = bus;
    this.#subject = subject;
    this.#workerId = workerId;
  }

  /** Number of the last report with facts. */
  get number(): number {
    return this.#number;
  }

  get sentReports(): number {
    return this.#sentReports;
  }

  /** Reports that NATS has not confirmed. */
  get lostReports(): number {
    return this.#lostReports;
  }

  /** @param facts in JSON; not empty. */
  add(facts: readonly string[]): void {
    this.#number++;
    const report = `${this.#head()},"facts":[${facts.join(",")}]}`;
    this.#waiting.push(report);
    this.#waitingBytes += report.length;
    if (this.#waitingBytes > MAX_WAITING_BYTES) {
      this.#lostReports += this.#waiting.length;
      this.#clear();
    }
    this.#sending ??= this.#send();
  }

  /** Repeats the number of the last report, unless reports wait. */
  sendHeartbeat(): void {
    if (this.#sending === undefined) this.#bus.send(this.#subject, Buffer.from(`${this.#head()},"facts":[]}`));
  }

  /** Publishes what waits, and announces the end. */
  async end(): Promise<void> {
    await this.#sending;
    await this.#bus.publish(this.#subject, Buffer.from(`${this.#head()},"facts":[],"ended":true}`));
  }

  #head(): string {
    return `{"worker":"${this.#workerId}","number":${this.#number}`;
  }

  #clear(): void {
    this.#waiting = [];
    this.#waitingBytes = 0;
  }

  async #send(): Promise<void> {
    while (this.#waiting.length > 0) {
      const reports = this.#waiting;
      this.#clear();
      const outcomes = await this.#bus.publishAll(
        reports.map((report) => ({ subject: this.#subject, content: Buffer.from(report) })),
      );
      for (const { ok } of outcomes) {
        if (ok) this.#sentReports++;
        else this.#lostReports++;
      }
    }
    this.#sending = undefined;
  }
}
