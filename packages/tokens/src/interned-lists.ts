/** Maximum length of an interned list, in characters of its JSON. */
const MAX_LENGTH = 256;
const MAX_LISTS = 1_000;
const NONE: readonly string[] = [];

/**
 * Interns equal lists, because most tokens grant the same topics and each connection keeps its grant until it closes.
 */
export class InternedLists {
  readonly #lists = new Map<string, readonly string[]>();

  /** Returns a list equal to `list`. The caller must not change `list` afterwards. */
  intern(list: readonly string[]): readonly string[] {
    if (list.length === 0) return NONE;
    const key = JSON.stringify(list);
    const known = this.#lists.get(key);
    if (known !== undefined || key.length > MAX_LENGTH) return known ?? list;
    if (this.#lists.size >= MAX_LISTS) this.#lists.clear();
    this.#lists.set(key, list);
    return list;
  }
}
