/** Half of a character, which has no UTF-8 form: a query would replace it, and so name another topic. */
const LONE_SURROGATE = /\p{Surrogate}/u;

/**
 * Decides which topics the query of a connection has. A worker refuses the whole query because of one topic, and a
 * command for its topic alone.
 */
export class QueryTopics {
  /** Options of the client that no worker has accepted yet. A refusal of these is final. */
  #required: ReadonlySet<string>;
  #isRefused = false;

  constructor(required: readonly string[]) {
    this.#required = new Set(required);
  }

  /** Returns the names for the next query. The client subscribes to the others by commands. */
  select(names: readonly string[]): string[] {
    return names.filter((name) => !LONE_SURROGATE.test(name) && (!this.#isRefused || this.#required.has(name)));
  }

  /** Must be called after each welcome. */
  onAccepted(): void {
    this.#required = new Set();
    this.#isRefused = false;
  }

  /**
   * Must be called when a connection with these topics in its query ends before the welcome. Returns whether its worker
   * refused the query, and may accept the next one.
   */
  onRefused(code: number, names: ReadonlySet<string>): boolean {
    if (this.#isRefused || (code !== 4400 && code !== 4403)) return false;
    this.#isRefused = true;
    return [...names].some((name) => !this.#required.has(name));
  }
}
