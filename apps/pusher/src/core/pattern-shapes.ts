const ANY_REST = ">";

/**
 * Finds the patterns that match a topic without looking at each of them: those that have their wildcards in the same places share
 * a shape, and of each shape at most one matches. Of shapes there are few, however many patterns there are.
 */
export class PatternShapes {
  /** How many patterns have a shape, which is one of them with its names left out: that of `orders.7.*` is `..*`. */
  readonly #counts = new Map<string, number>();

  add(pattern: string): void {
    const shape = shapeOf(pattern);
    this.#counts.set(shape, (this.#counts.get(shape) ?? 0) + 1);
  }

  /** To be called once for each {@link add}. */
  remove(pattern: string): void {
    const shape = shapeOf(pattern);
    const count = this.#counts.get(shape) ?? 0;
    if (count > 1) this.#counts.set(shape, count - 1);
    else this.#counts.delete(shape);
  }

  /** All patterns of these shapes that match `topic`: those that were added and match are among them. */
  *matching(topic: string): Generator<string> {
    const tokens = topic.split(".");
    for (const shape of this.#counts.keys()) {
      const pattern = patternFor(shape.split("."), tokens);
      if (pattern !== undefined) yield pattern;
    }
  }
}

function shapeOf(pattern: string): string {
  const tokens = pattern.split(".");
  return tokens.map((token) => (token === "*" || token === ANY_REST ? token : "")).join(".");
}

function patternFor(shape: readonly string[], tokens: readonly string[]): string | undefined {
  const fits = shape.at(-1) === ANY_REST ? tokens.length >= shape.length : tokens.length === shape.length;
  return fits ? shape.map((wildcard, at) => wildcard || tokens[at]).join(".") : undefined;
}
