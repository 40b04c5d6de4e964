/** The connections of this worker, by connection id. */
export class Connections<Socket> {
  readonly #sockets = new Map<number, Socket>();
  #lastId = 0;

  get size(): number {
    return this.#sockets.size;
  }

  /**
   * Returns a new id. Ids count from 1 and are never reused, so that an old address does not reach another connection.
   */
  nextId(): number {
    this.#lastId++;
    return this.#lastId;
  }

  open(connectionId: number, socket: Socket): void {
    this.#sockets.set(connectionId, socket);
  }

  close(connectionId: number): void {
    this.#sockets.delete(connectionId);
  }

  get(connectionId: number): Socket | undefined {
    return this.#sockets.get(connectionId);
  }

  all(): Iterable<Socket> {
    return this.#sockets.values();
  }

  entries(): Iterable<[id: number, socket: Socket]> {
    return this.#sockets.entries();
  }

  /** Returns up to `count` connections, oldest first. Returns a copy, because closing a connection changes the map. */
  oldest(count: number): Socket[] {
    const sockets: Socket[] = [];
    for (const socket of this.#sockets.values()) {
      if (sockets.length >= count) break;
      sockets.push(socket);
    }
    return sockets;
  }
}
