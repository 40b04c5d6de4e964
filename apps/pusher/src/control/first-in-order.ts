/** Collects the first items in an order, of any number that are added. */
export class FirstInOrder<Item> {
  readonly #count: number;
  readonly #compare: (one: Item, other: Item) => number;
  #items: Item[] = [];
  /** Items from here on are not among the first. */
  #end: Item | undefined;

  constructor(count: number, compare: (one: Item, other: Item) => number) {
    this.#count = count;
    this.#compare = compare;
  }

  add(item: Item): void {
    if (this.#end !== undefined && this.#compare(item, this.#end) >= 0) return;
    this.#items.push(item);
    if (this.#items.length < 2 * this.#count) return;
    this.#items = this.take();
    this.#end = this.#items.at(-1);
  }

  /** Returns them in order. */
  take(): Item[] {
    return this.#items.sort(this.#compare).slice(0, this.#count);
  }
}
