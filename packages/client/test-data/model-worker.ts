import type { FakeWebSocket } from "./fake-web-socket.ts";

export type Logged = { readonly sequence: number; readonly topic: string };

/** What was missed and still has to be sent, and what was live meanwhile and is held back. */
type CatchingUp = { readonly topics: ReadonlySet<string>; readonly missed: object[]; readonly heldBack: object[] };

/**
 * What a worker sends on one connection, as docs/protocol.md has it. Its log is whole, so all can be proven. Each
 * subscription that catches up holds back what is live for it alone; commands are read once the connection itself has
 * caught up; the wire is cut anywhere.
 */
export class ModelWorker {
  readonly #socket: FakeWebSocket;
  readonly #log: readonly Logged[];
  readonly #topics: Set<string>;
  readonly #wire: object[];
  /** The connection's own comes first. */
  readonly #catchingUp: CatchingUp[] = [];
  #hasRecovered = false;
  #commandsRead = 0;

  constructor(socket: FakeWebSocket, log: readonly Logged[]) {
    this.#socket = socket;
    this.#log = log;
    const query = socket.url.searchParams;
    const since = query.get("since");
    this.#topics = new Set(query.getAll("topic"));
    const recovered = since === null ? null : true;
    this.#wire = [{ type: "welcome", connection: "a.1", position: this.#position, recovered }];
    this.#beginCatchingUp(new Set(this.#topics), since ?? this.#position);
  }

  get isIdle(): boolean {
    return this.#wire.length === 0 && this.#catchingUp.length === 0;
  }

  publish(logged: Logged): void {
    if (!this.#topics.has(logged.topic)) return;
    const heldBack = this.#catchingUp.find(({ topics }) => topics.has(logged.topic))?.heldBack;
    (heldBack ?? this.#wire).push(publication(logged));
  }

  readCommands(): void {
    if (!this.#hasRecovered) return;
    const commands = this.#socket.commands.slice(this.#commandsRead);
    this.#commandsRead += commands.length;
    for (const { id, topic, since } of commands) {
      const name = String(topic);
      const recovered = since === undefined ? undefined : true;
      this.#wire.push({ type: "reply", id, ok: true, recovered, position: this.#position });
      if (!this.#topics.has(name) && typeof since === "string") this.#beginCatchingUp(new Set([name]), since);
      this.#topics.add(name);
    }
  }

  /** Sends a part of what one of those that catch up has missed; after the last part, what was held back. */
  catchUp(count: number, at: number): void {
    const index = this.#hasRecovered ? at % Math.max(this.#catchingUp.length, 1) : 0;
    const chosen = this.#catchingUp[index];
    if (chosen === undefined) return;
    this.#wire.push(...chosen.missed.splice(0, count));
    if (chosen.missed.length > 0) return;
    this.#wire.push(...chosen.heldBack);
    this.#catchingUp.splice(index, 1);
    this.#hasRecovered = true;
  }

  /** Up to `count` messages arrive in one frame. */
  arrive(count: number): void {
    const messages = this.#wire.splice(0, count);
    if (messages.length > 0) this.#socket.say(...messages);
  }

  get #position(): string {
    return `e-${this.#log.at(-1)?.sequence ?? 0}`;
  }

  #beginCatchingUp(topics: ReadonlySet<string>, since: string): void {
    const from = Number(since.slice("e-".length));
    const missed = this.#log.filter(({ sequence, topic }) => sequence > from && topics.has(topic)).map(publication);
    this.#catchingUp.push({ topics, missed, heldBack: [] });
  }
}

function publication({ sequence, topic }: Logged): object {
  return { type: "publication", topic, event: "message", data: "", position: `e-${sequence}` };
}
