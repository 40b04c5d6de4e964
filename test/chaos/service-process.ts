import type { TestProcess } from "../support/process.ts";

export type Service = { readonly process: TestProcess; readonly adminUrl: string };

const MAX_STARTS = 3;
const ASK_EVERY_MS = 200;
/** A service that has not answered by then counts as not ready, as for a load balancer. */
const ANSWER_WITHIN_MS = 1_000;

/** A service of the cluster. Its process may be replaced, as a unit or container would be. */
export class Part<Kind extends Service = Service> implements AsyncDisposable {
  readonly name: string;
  readonly #start: () => Promise<Kind>;
  #service: Kind;
  #isReady = true;
  readonly #timer: NodeJS.Timeout;
  #isAsking = false;

  static async start<Kind extends Service>(name: string, start: () => Promise<Kind>): Promise<Part<Kind>> {
    return new Part(name, start, await start());
  }

  private constructor(name: string, start: () => Promise<Kind>, service: Kind) {
    this.name = name;
    this.#start = start;
    this.#service = service;
    this.#timer = setInterval(() => void this.#ask(), ASK_EVERY_MS);
  }

  get service(): Kind {
    return this.#service;
  }

  /** The last answer of /readyz. */
  get isReady(): boolean {
    return this.#isReady;
  }

  kill(signal: NodeJS.Signals): void {
    this.#service.process.kill(signal);
  }

  /** Errors of failed starts. A unit or container would be started again. */
  readonly failedStarts: unknown[] = [];

  /** Ends the process, if it runs, starts another, and waits until that one is ready. */
  async replace(signal: NodeJS.Signals): Promise<void> {
    await this.#service.process.stop(signal);
    for (let attempt = 1; ; attempt++) {
      try {
        this.#service = await this.#start();
        return;
      } catch (error) {
        this.failedStarts.push(error);
        if (attempt === MAX_STARTS) throw error;
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    this.#service.process.kill("SIGCONT");
    await this.#service.process[Symbol.asyncDispose]();
  }

  async #ask(): Promise<void> {
    if (this.#isAsking) return;
    this.#isAsking = true;
    try {
      const signal = AbortSignal.timeout(ANSWER_WITHIN_MS);
      const response = await fetch(`${this.#service.adminUrl}/readyz`, { signal });
      this.#isReady = response.status === 200;
    } catch {
      this.#isReady = false;
    } finally {
      this.#isAsking = false;
    }
  }
}
