/**
 * One request for all who ask at about the same moment. Whoever asks gets the answer to a request that is sent after they
 * asked, never to one already on its way: that may have been answered before.
 */
export class SharedAnswer<Answer> {
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
