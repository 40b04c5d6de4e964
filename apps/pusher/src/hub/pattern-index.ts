import { isRestricted } from "@fanwire/protocol";

const ANY_REST = ">";

/** A pattern without its names, and the number of patterns that share it: `orders.7.*` has `["", "", "*"]`. */
type Shape = { readonly tokens: readonly string[]; count: number };

/**
 * Finds the patterns that match a topic without a look at each of them. Patterns with wildcards in the same places
 * share a shape, and at most one pattern of each shape matches. Only shapes that fit the length of the topic are tried,
 * so that clients cannot slow down short topics with long patterns.
 */
export class PatternIndex {
  readonly #exact = new ShapesByLength();
  readonly #open = new ShapesByLength();

  get isEmpty(): boolean {
    return this.#exact.isEmpty && this.#open.isEmpty;
  }

  add(pattern: string): void {
    const tokens = shapeOf(pattern);
    this.#of(tokens).add(tokens);
  }

  /** Must be called once for each {@link add}. */
  remove(pattern: string): void {
    const tokens = shapeOf(pattern);
    this.#of(tokens).remove(tokens);
  }

  /** Returns every pattern of a known shape that matches `topic`, including all added patterns that match it. */
  *matching(topic: string): Generator<string> {
    const tokens = topic.split(".");
    const isPrivate = isRestricted(topic);
    yield* this.#exact.filled(tokens.length, tokens, isPrivate);
    for (let length = 1; length <= tokens.length; length++) yield* this.#open.filled(length, tokens, isPrivate);
  }

  #of(tokens: readonly string[]): ShapesByLength {
    return tokens.at(-1) === ANY_REST ? this.#open : this.#exact;
  }
}

class ShapesByLength {
  readonly #shapes = new Map<number, Map<string, Shape>>();

  get isEmpty(): boolean {
    return this.#shapes.size === 0;
  }

  add(tokens: readonly string[]): void {
    const shapes = this.#shapes.get(tokens.length) ?? new Map<string, Shape>();
    this.#shapes.set(tokens.length, shapes);
    const key = tokens.join(".");
    const shape = shapes.get(key);
    if (shape) shape.count++;
    else shapes.set(key, { tokens, count: 1 });
  }

  remove(tokens: readonly string[]): void {
    const shapes = this.#shapes.get(tokens.length);
    const key = tokens.join(".");
    const shape = shapes?.get(key);
    if (shape === undefined) return;
    shape.count--;
    if (shape.count > 0) return;
    shapes?.delete(key);
    if (shapes?.size === 0) this.#shapes.delete(tokens.length);
  }

  /**
   * Returns the shapes of one length, filled with the names of a topic. A wildcard never stands for the first token of
   * a restricted topic.
   */
  *filled(length: number, topic: readonly string[], isRestrictedTopic: boolean): Generator<string> {
    for (const { tokens } of this.#shapes.get(length)?.values() ?? []) {
      if (isRestrictedTopic && tokens[0] !== "") continue;
      yield tokens.map((wildcard, at) => wildcard || topic[at]).join(".");
    }
  }
}

function shapeOf(pattern: string): string[] {
  return pattern.split(".").map((token) => (token === "*" || token === ANY_REST ? token : ""));
}
