import { type Few, membersOf, withMember, withoutMember } from "./few.ts";

/** Which connections of this worker belong to which user. */
export class Users {
  readonly #connections = new Map<string, NonNullable<Few<number>>>();

  get size(): number {
    return this.#connections.size;
  }

  attach(user: string, connectionId: number): void {
    this.#keep(user, withMember(this.#connections.get(user), connectionId));
  }

  detach(user: string, connectionId: number): void {
    this.#keep(user, withoutMember(this.#connections.get(user), connectionId));
  }

  connectionsOf(user: string): Iterable<number> {
    return membersOf(this.#connections.get(user));
  }

  #keep(user: string, own: Few<number>): void {
    if (own === undefined) this.#connections.delete(user);
    else this.#connections.set(user, own);
  }
}
