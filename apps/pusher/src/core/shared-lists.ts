/** Longer ones are not shared, in characters as JSON. */
const MAX_LENGTH = 256;
const MAX_LISTS = 1_000;

/** Keeps equal lists once: the tokens of most users allow the same, and what they allow is kept as long as they are connected. */
export class SharedLists {
  readonly #lists = new Map<string, readonly string[]>();

  /** One that is equal to `list`, which must not be changed from now on. */
  equalTo(list: readonly string[]): readonly string[] {
    const key = JSON.stringify(list);
    const known = this.#lists.get(key);
    if (known !== undefined || key.length > MAX_LENGTH) return known ?? list;
    if (this.#lists.size >= MAX_LISTS) this.#lists.clear();
    this.#lists.set(key, list);
    return list;
  }
}
