/** A place in a {@link LinkedList}. A removed link still points to its successor, so that an iteration can continue. */
export type Link<T> = {
  readonly value: T;
  previous: Link<T> | undefined;
  next: Link<T> | undefined;
  isLinked: boolean;
};

/**
 * A list in order of appending from which any value is removed in constant time. A `Map` or `Set` cannot be iterated
 * from the middle, and finding its first entry walks over all entries removed before it.
 */
export class LinkedList<T> {
  #first: Link<T> | undefined;
  #last: Link<T> | undefined;
  #size = 0;

  get first(): Link<T> | undefined {
    return this.#first;
  }

  get size(): number {
    return this.#size;
  }

  append(value: T): Link<T> {
    const link: Link<T> = { value, previous: this.#last, next: undefined, isLinked: true };
    if (this.#last === undefined) this.#first = link;
    else this.#last.next = link;
    this.#last = link;
    this.#size++;
    return link;
  }

  /** Removes a link of this list. A removed link is ignored. */
  remove(link: Link<T>): void {
    if (!link.isLinked) return;
    if (link.previous === undefined) this.#first = link.next;
    else link.previous.next = link.next;
    if (link.next === undefined) this.#last = link.previous;
    else link.next.previous = link.previous;
    link.previous = undefined;
    link.isLinked = false;
    this.#size--;
  }
}
