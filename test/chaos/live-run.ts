/** Deliveries of one subject to one connection without sequences, which become known later. */
export class LiveRun {
  readonly #inOrder: number[] = [];
  readonly #came = new Set<number>();
  #first: number | undefined;
  #last = 0;

  receive(number: number): void {
    this.#inOrder.push(number);
    this.#came.add(number);
  }

  /** Deliveries that arrived after one with a higher sequence, as far as sequences are known. */
  disordered(
    sequenceOf: (number: number) => number | undefined,
  ): { number: number; sequence: number; after: number }[] {
    const disordered: { number: number; sequence: number; after: number }[] = [];
    for (const number of this.#inOrder.splice(0)) {
      const sequence = sequenceOf(number);
      if (sequence === undefined) continue;
      if (sequence < this.#last) disordered.push({ number, sequence, after: this.#last });
      this.#first ??= sequence;
      this.#last = Math.max(this.#last, sequence);
    }
    return disordered;
  }

  /**
   * Whether the connection lacks it between two that it received. Clients that cannot resume are promised only that.
   */
  lacks(number: number, sequence: number): boolean {
    return sequence > (this.#first ?? this.#last) && sequence < this.#last && !this.#came.has(number);
  }

  forget(number: number): void {
    this.#came.delete(number);
  }
}
