import type { Bus, BusMessage, BusSubscription } from "@fanwire/bus";
import type { Subjects } from "@fanwire/protocol";
import { Deque } from "./core/deque.ts";
import type { Subscriptions } from "./core/subscriptions.ts";
import type { Deliveries } from "./deliveries.ts";
import { hashName } from "./name-hash.ts";
import { Pace } from "./pace.ts";
import type { Peer } from "./peer.ts";
import type { ClassRule } from "./php-classes.ts";
import { encodeEvent, readEvent } from "./replies.ts";
import type { Name } from "./request.ts";
import type { Traffic } from "./traffic.ts";
import type { Uplink } from "./uplink.ts";

/** All channel servers are one group in each channel: NATS picks one of the group's subscriptions for each message. */
const LOOP_GROUP = "loop";
/**
 * A server takes part in a channel's rotation once for each of its subscribers, so that all subscribers of all servers
 * have the same share; beyond so many it is enough to be fair.
 */
const MAX_LOOP_SHARES = 64;

const LEAVE_AGAIN_MS = 1;

type Heard = { readonly event: BusSubscription; readonly loops: BusSubscription[] };

type EventsParts = {
  readonly bus: Bus;
  readonly uplink: Uplink;
  readonly subjects: Subjects;
  readonly subscriptions: Subscriptions<Peer>;
  readonly deliveries: Deliveries;
  readonly traffic: Traffic;
  readonly allowsClass: ClassRule;
  /** The first peer of this server has subscribed to the channel; the last one has left it. */
  onChannel(key: string, isOpen: boolean): void;
};

/**
 * Events and round-robin events between peers, of this server and of all others. Everything goes through NATS, what is for
 * this server's own peers too: one path, hence one order. While NATS is away they are served directly.
 */
export class Events {
  readonly #parts: EventsParts;
  readonly #heard = new Map<string, Heard>();
  /** Peers that are gone and still subscribed, with the channels that they have not left. */
  readonly #leaving = new Deque<{ readonly peer: Peer; readonly keys: IterableIterator<string> }>();
  readonly #pace = new Pace();

  constructor(parts: EventsParts) {
    this.#parts = parts;
  }

  subscribe(peer: Peer, key: string): void {
    const { bus, subscriptions } = this.#parts;
    const isFirst = subscriptions.subscribe(peer, key);
    if (isFirst) {
      this.#parts.uplink.count(key.length);
      const event = bus.subscribe(this.#subject("event", key), (message) => this.#onEvent(key, message));
      this.#heard.set(key, { event, loops: [] });
      this.#parts.onChannel(key, true);
    }
    this.#shareLoop(key);
  }

  unsubscribe(peer: Peer, key: string): void {
    this.#parts.subscriptions.unsubscribe(peer, key);
    this.#onFewer(key);
  }

  /** Ends the subscriptions of a peer that is gone, over several ticks when there are many. It receives nothing meanwhile. */
  disconnect(peer: Peer): void {
    this.#leaving.push({ peer, keys: this.#parts.subscriptions.eachKeyOf(peer) });
    if (this.#leaving.size === 1) this.#leave();
  }

  publish({ key, raw }: Name, data: Buffer): void {
    const payload = encodeEvent(raw, data);
    if (payload === undefined) return;
    const outcome = this.#parts.uplink.send(this.#subject("event", key), payload);
    if (outcome === "sent") return;
    this.#parts.traffic.kept[outcome]++;
    this.#deliver(key, payload);
  }

  publishLoop({ key, raw }: Name, data: Buffer): void {
    const payload = encodeEvent(raw, data);
    if (payload === undefined) return;
    const outcome = this.#parts.uplink.send(this.#subject("loop", key), payload);
    if (outcome === "sent") return;
    this.#parts.traffic.kept[outcome]++;
    this.#deliverInTurn(key, payload);
  }

  #onEvent(key: string, message: BusMessage): void {
    if (!this.#isEventOf(key, message)) return;
    this.#parts.deliveries.add(message.data.length, () => this.#deliver(key, message.data));
  }

  #onLoop(key: string, message: BusMessage): void {
    if (!this.#isEventOf(key, message)) return;
    this.#parts.deliveries.add(message.data.length, () => this.#deliverInTurn(key, message.data));
  }

  /** Anybody can publish on NATS, and a PHP peer dies of a frame it cannot read. */
  #isEventOf(key: string, message: BusMessage): boolean {
    const { traffic, allowsClass } = this.#parts;
    traffic.receivedEvents++;
    if (readEvent(message.data, allowsClass)?.key === key) return true;
    traffic.refusedFromNats.event++;
    return false;
  }

  #deliver(key: string, payload: Uint8Array): void {
    this.#parts.subscriptions.forEach(key, (peer) => peer.deliver(payload));
  }

  #deliverInTurn(key: string, payload: Uint8Array): void {
    const { subscriptions } = this.#parts;
    let peer = subscriptions.nextInTurn(key);
    for (; peer?.isGone; peer = subscriptions.nextInTurn(key)) this.unsubscribe(peer, key);
    peer?.deliver(payload);
  }

  #leave(): void {
    let next = this.#leaving.first;
    while (next !== undefined) {
      const { value: key, done } = next.keys.next();
      if (done) {
        this.#leaving.shift();
        next = this.#leaving.first;
        continue;
      }
      this.unsubscribe(next.peer, key);
      if (!this.#pace.isOver() && !this.#parts.uplink.isReturnCongested) continue;
      // NATS needs time for what it is told here too.
      setTimeout(() => this.#leave(), LEAVE_AGAIN_MS);
      return;
    }
  }

  /** A subscriber of the channel has left. */
  #onFewer(key: string): void {
    const heard = this.#heard.get(key);
    if (heard === undefined) return;
    this.#shareLoop(key);
    if (this.#parts.subscriptions.subscriberCount(key) > 0) return;
    heard.event.unsubscribe();
    this.#parts.uplink.count(0);
    this.#heard.delete(key);
    this.#parts.onChannel(key, false);
  }

  #shareLoop(key: string): void {
    const loops = this.#heard.get(key)?.loops;
    if (loops === undefined) return;
    const shares = Math.min(this.#parts.subscriptions.subscriberCount(key), MAX_LOOP_SHARES);
    while (loops.length > shares) {
      loops.pop()?.unsubscribe();
      this.#parts.uplink.count(0);
    }
    while (loops.length < shares) {
      this.#parts.uplink.count(key.length);
      const onLoop = (message: BusMessage) => this.#onLoop(key, message);
      loops.push(this.#parts.bus.subscribe(this.#subject("loop", key), onLoop, LOOP_GROUP));
    }
  }

  #subject(kind: "event" | "loop", key: string): string {
    return this.#parts.subjects.channel(kind, key, hashName);
  }
}
