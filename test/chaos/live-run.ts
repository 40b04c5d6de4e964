/** What one connection heard of one subject in one way, without being told any sequence: those are known later. */
export class LiveRun {
  readonly #inOrder: number[] = [];
  readonly #came = new Set<number>();
  #first: number | undefined;
  #last = 0;

  hear(number: number): void {
    this.#inOrder.push(number);
    this.#came.add(number);
  }

  /** What came after one that is stored later, of all whose sequence is known by now. */
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

  /** Whether it is missing between two that came: who cannot resume is owed nothing else. */
  lacks(number: number, sequence: number): boolean {
    return sequence > (this.#first ?? this.#last) && sequence < this.#last && !this.#came.has(number);
  }

  forget(number: number): void {
    this.#came.delete(number);
  }
}
