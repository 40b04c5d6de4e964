/**
 * Shares one request among callers that ask at about the same time. A caller never joins a request that is under way,
 * because its answer may describe the time before the call.
 */
export class CoalescedRequest<Answer> {
  readonly #ask: () => Promise<Answer>;
  #last: Promise<unknown> = Promise.resolve();
  #next: Promise<Answer> | undefined;

  constructor(ask: () => Promise<Answer>) {
    this.#ask = ask;
  }

  get(): Promise<Answer> {
    this.#next ??= this.#askAfter(this.#last);
    return this.#next;
  }

  async #askAfter(last: Promise<unknown>): Promise<Answer> {
    await last;
    const asked = this.#ask();
    this.#next = undefined;
    this.#last = asked.catch(() => {});
    return asked;
  }
}
