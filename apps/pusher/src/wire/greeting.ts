/** A greeting template that is filled in with each connection: what is the same for all is filled in once. */
export class Greeting {
  readonly #parts: readonly string[];

  /** Only `{worker}` and `{connection}` are replaced; a template without them stays as it is. */
  constructor(template: string, workerId: string) {
    this.#parts = template.replaceAll("{worker}", workerId).split("{connection}");
  }

  for(connectionId: number): string {
    return this.#parts.join(String(connectionId));
  }
}
