import { matchesTopic } from "@fanwire/protocol";
import { type FakeWebSocket, publication } from "./fake-web-socket.ts";

export type Logged = { readonly sequence: number; readonly topic: string };

type Copy = {
  readonly subscription: string;
  readonly position?: string;
  readonly since?: string;
  readonly resume?: string;
};

/** Marks a publication of a subscription that catches up, whose position is its own. */
function ofItsOwn({ position, resume, ...copy }: Copy): Copy {
  return { ...copy, ...(position !== undefined && { since: position }) };
}

/** Missed publications that are not sent yet, and live ones that are held back meanwhile. */
type CatchingUp = { readonly topics: Set<string>; missed: Copy[]; heldBack: Copy[]; readonly isOne: boolean };

/**
 * Sends what a worker sends on one connection, as docs/protocol.md describes it. Its history is complete, so every
 * recovery is proved. Each subscription that catches up holds back its own live publications. A subscription of a
 * command, or of the application, is not live before the connection has caught up. The connection may be cut anywhere.
 */
export class ModelWorker {
  readonly #socket: FakeWebSocket;
  readonly #log: readonly Logged[];
  readonly #topics: Set<string>;
  readonly #wire: object[];
  /** The subscription of the connection comes first. */
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
    this.#beginCatchingUp(new Set(this.#topics), since ?? this.#position, false);
  }

  get isIdle(): boolean {
    return this.#wire.length === 0 && this.#catchingUp.length === 0;
  }

  publish(logged: Logged): void {
    for (const copy of copiesOf(logged, this.#topics)) {
      const heldBack = this.#catchingUp.find(({ topics }) => topics.has(copy.subscription))?.heldBack;
      (heldBack ?? this.#wire).push(copy);
    }
  }

  readCommands(): void {
    const commands = this.#socket.commands.slice(this.#commandsRead);
    this.#commandsRead += commands.length;
    for (const { id, command, topic, since } of commands) {
      const name = String(topic);
      if (command === "unsubscribe") {
        this.#unsubscribe(name);
        this.#wire.push({ type: "reply", id, ok: true });
        continue;
      }
      const recovered = since === undefined ? undefined : true;
      const position = recovered ? since : this.#position;
      this.#wire.push({ type: "reply", id, ok: true, recovered, position });
      this.#subscribe(name, typeof since === "string" ? since : undefined);
    }
  }

  /** Subscribes the connection as the HTTP API does: the client does not know of it. */
  subscribeByApplication(name: string): void {
    this.#subscribe(name, undefined);
  }

  #subscribe(name: string, since: string | undefined): void {
    if (this.#topics.has(name)) return;
    if (since !== undefined || !this.#hasRecovered) {
      this.#beginCatchingUp(new Set([name]), since ?? this.#position, true);
    }
    this.#topics.add(name);
  }

  #unsubscribe(name: string): void {
    this.#topics.delete(name);
    for (const each of this.#catchingUp) {
      each.topics.delete(name);
      each.missed = each.missed.filter(({ subscription }) => subscription !== name);
      each.heldBack = each.heldBack.filter(({ subscription }) => subscription !== name);
    }
  }

  /** Sends a part of the missed publications of one subscription; after the last part, those held back. */
  catchUp(count: number, at: number): void {
    const index = at % Math.max(this.#catchingUp.length, 1);
    const chosen = this.#catchingUp[index];
    if (chosen === undefined) return;
    const mark = (copies: Copy[]) => (chosen.isOne ? copies.map(ofItsOwn) : copies);
    this.#wire.push(...mark(chosen.missed.splice(0, count)));
    if (chosen.missed.length > 0) return;
    this.#wire.push(...mark(chosen.heldBack.splice(0)));
    this.#hasRecovered ||= !chosen.isOne;
    if (this.#hasRecovered) this.#catchingUp.splice(index, 1);
  }

  /** Delivers up to `count` messages in one frame. */
  arrive(count: number): void {
    const messages = this.#wire.splice(0, count);
    if (messages.length > 0) this.#socket.deliver(...messages);
  }

  get #position(): string {
    return `e-${this.#log.at(-1)?.sequence ?? 0}`;
  }

  #beginCatchingUp(topics: Set<string>, since: string, isOne: boolean): void {
    const [sequence, tag] = since.slice("e-".length).split(".");
    const from = Number(sequence);
    const missed = this.#log.flatMap((logged) => {
      if (logged.sequence <= from) return [];
      const copies = copiesOf(logged, topics);
      const isPartlyHad = tag !== undefined && logged.sequence === from + 1;
      return isPartlyHad ? copies.filter(({ subscription }) => tagOf(subscription) > tag) : copies;
    });
    this.#catchingUp.push({ topics, missed, heldBack: [], isOne });
  }
}

/** Returns one copy for each subscription that matches, in the order in which workers send them. */
function copiesOf({ sequence, topic }: Logged, subscriptions: Iterable<string>): Copy[] {
  const matching = [...subscriptions].filter((subscription) => matchesTopic(subscription, topic));
  matching.sort((one, other) => (tagOf(one) < tagOf(other) ? -1 : 1));
  return matching.map((subscription, at) => {
    const isLast = at === matching.length - 1;
    const resume = isLast ? {} : { resume: `e-${sequence - 1}.${tagOf(subscription)}` };
    return { ...publication(), topic, subscription, position: `e-${sequence}`, ...resume };
  });
}

/** Orders subscriptions differently than by name. */
function tagOf(subscription: string): string {
  const codes = [...subscription].slice(0, 3).map((letter) => String(255 - letter.charCodeAt(0)).padStart(3, "0"));
  return codes.join("").padEnd(10, "0");
}
