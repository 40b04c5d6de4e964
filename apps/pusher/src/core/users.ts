const NOBODY: ReadonlySet<number> = new Set();

/** Which connections of this worker belong to which user. */
export class Users {
  readonly #connections = new Map<string, Set<number>>();

  get size(): number {
    return this.#connections.size;
  }

  attach(user: string, connectionId: number): void {
    const own = this.#connections.get(user);
    if (own) own.add(connectionId);
    else this.#connections.set(user, new Set([connectionId]));
  }

  detach(user: string, connectionId: number): void {
    const own = this.#connections.get(user);
    if (!own?.delete(connectionId) || own.size > 0) return;
    this.#connections.delete(user);
  }

  connectionsOf(user: string): ReadonlySet<number> {
    return this.#connections.get(user) ?? NOBODY;
  }
}
