/** A greeting template. Parts that all connections share are filled in once. */
export class Greeting {
  readonly #parts: readonly string[];

  /** Replaces only `{worker}` and `{connection}`. */
  constructor(template: string, workerId: string) {
    this.#parts = template.replaceAll("{worker}", workerId).split("{connection}");
  }

  for(connectionId: number): string {
    return this.#parts.join(String(connectionId));
  }
}
