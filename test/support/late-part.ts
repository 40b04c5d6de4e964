/** A part of a cluster, or a browser, that tests may name before it has started. */
export class LatePart<P extends object> {
  readonly #name: string;
  readonly proxy: P;
  #part: P | undefined;

  constructor(name: string) {
    this.#name = name;
    this.proxy = new Proxy({} as P, {
      get: (_, key) => {
        const value: unknown = Reflect.get(this.part, key);
        return typeof value === "function" ? value.bind(this.part) : value;
      },
      set: (_, key, value) => Reflect.set(this.part, key, value),
      has: (_, key) => Reflect.has(this.part, key),
    });
  }

  get part(): P {
    if (this.#part === undefined) throw new Error(`${this.#name} has not started yet`);
    return this.#part;
  }

  set(part: P): void {
    this.#part = part;
  }
}
