/** Who is connected to this worker, by connection id. `Socket` is whatever the protocol writes to. */
export class Connections<Socket> {
  readonly #sockets = new Map<number, Socket>();
  #lastId = 0;

  get size(): number {
    return this.#sockets.size;
  }

  /** Ids count from 1 and are never used again by this worker, so that an old address reaches nobody. */
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

  /** Up to `count` of them, oldest first. A copy: closing one changes the whole. */
  oldest(count: number): Socket[] {
    const sockets: Socket[] = [];
    for (const socket of this.#sockets.values()) {
      if (sockets.length >= count) break;
      sockets.push(socket);
    }
    return sockets;
  }
}
