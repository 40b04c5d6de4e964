import type { Bus, BusMessage, BusSubscription } from "@fanwire/bus";
import type { Subjects } from "@fanwire/protocol";
import { Deque } from "../data/deque.ts";
import { Pace } from "../data/pace.ts";
import type { Steps } from "../data/steps.ts";
import type { ClassRule } from "../php/classes.ts";
import type { Name } from "../wire/client-message.ts";
import { encodeEvent, readEvent } from "../wire/server-message.ts";
import type { BrokerPeer } from "./broker-peer.ts";
import type { Counters } from "./counters.ts";
import type { Deliveries } from "./deliveries.ts";
import { hashName } from "./name-hash.ts";
import type { PublishWindow } from "./publish-window.ts";
import type { Subscriptions } from "./subscriptions.ts";

/** Queue group of all channel servers. NATS delivers each message to one subscription of the group. */
const LOOP_GROUP = "loop";
/**
 * Maximum NATS subscriptions of a server in the rotation of one channel. Below it a server has one for each subscriber,
 * so that all subscribers of all servers have the same chance.
 */
const MAX_LOOP_SHARES = 64;

const LEAVE_AGAIN_MS = 1;

type ChannelSubscriptions = { readonly event: BusSubscription; readonly loops: BusSubscription[] };

type EventsParts = {
  readonly bus: Bus;
  readonly publishWindow: PublishWindow;
  readonly subjects: Subjects;
  readonly subscriptions: Subscriptions<BrokerPeer>;
  readonly deliveries: Deliveries;
  readonly counters: Counters;
  readonly allowsClass: ClassRule;
  /** Called when the first peer of this server subscribes to the channel, and when the last one unsubscribes. */
  onChannel(key: string, isOpen: boolean): void;
};

/**
 * Events and round-robin events between the peers of all servers. Events for this server's own peers go through NATS as
 * well, so that all events share one path and one order. While NATS is unavailable, own peers are served directly.
 */
export class Events {
  readonly #parts: EventsParts;
  readonly #subscribed = new Map<string, ChannelSubscriptions>();
  /** Disconnected peers with the channels from which they are not unsubscribed yet. */
  readonly #leaving = new Deque<{ readonly peer: BrokerPeer; readonly keys: IterableIterator<string> }>();
  readonly #pace = new Pace();

  constructor(parts: EventsParts) {
    this.#parts = parts;
  }

  subscribe(peer: BrokerPeer, key: string): void {
    const { bus, subscriptions } = this.#parts;
    const isFirst = subscriptions.subscribe(peer, key);
    if (isFirst) {
      this.#parts.publishWindow.count(key.length);
      const event = bus.subscribe(this.#subject("event", key), (message) => {
        this.#parts.deliveries.add(message.data.length, this.#onEvent(key, message));
      });
      this.#subscribed.set(key, { event, loops: [] });
      this.#parts.onChannel(key, true);
    }
    this.#shareLoop(key);
  }

  unsubscribe(peer: BrokerPeer, key: string): void {
    this.#parts.subscriptions.unsubscribe(peer, key);
    this.#onFewer(key);
  }

  /** Ends the subscriptions of a disconnected peer, over several ticks when there are many. */
  disconnect(peer: BrokerPeer): void {
    this.#leaving.push({ peer, keys: this.#parts.subscriptions.eachKeyOf(peer) });
    if (this.#leaving.size === 1) this.#leave();
  }

  publish({ key, raw }: Name, data: Buffer): void {
    const payload = encodeEvent(raw, data);
    if (payload === undefined) return;
    const outcome = this.#parts.publishWindow.send(this.#subject("event", key), payload);
    if (outcome === "sent") return;
    this.#parts.counters.kept[outcome]++;
    this.#deliver(key, payload);
  }

  publishLoop({ key, raw }: Name, data: Buffer): void {
    const payload = encodeEvent(raw, data);
    if (payload === undefined) return;
    const outcome = this.#parts.publishWindow.send(this.#subject("loop", key), payload);
    if (outcome === "sent") return;
    this.#parts.counters.kept[outcome]++;
    this.#deliverInTurn(key, payload);
  }

  // The check belongs to the delivery, because both are long for a large value and share the slice of a tick.

  *#onEvent(key: string, message: BusMessage): Steps<void> {
    if (yield* this.#isEventOf(key, message)) this.#deliver(key, message.data);
  }

  *#onLoop(key: string, message: BusMessage): Steps<void> {
    if (yield* this.#isEventOf(key, message)) this.#deliverInTurn(key, message.data);
  }

  /**
   * Checks a message from NATS, because any NATS client can publish there, and a PHP peer ends when it cannot read a
   * frame.
   */
  *#isEventOf(key: string, message: BusMessage): Steps<boolean> {
    const { counters, allowsClass } = this.#parts;
    counters.receivedEvents++;
    const event = yield* readEvent(message.data, allowsClass);
    if (event?.key === key) return true;
    counters.refusedFromNats.event++;
    return false;
  }

  #deliver(key: string, payload: Uint8Array): void {
    this.#parts.subscriptions.forEach(key, (peer) => peer.deliver(payload));
  }

  #deliverInTurn(key: string, payload: Uint8Array): void {
    const { subscriptions } = this.#parts;
    let peer = subscriptions.nextInTurn(key);
    for (; peer?.isClosed; peer = subscriptions.nextInTurn(key)) this.unsubscribe(peer, key);
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
      if (!this.#pace.isOver() && !this.#parts.publishWindow.isReturnCongested) continue;
      // NATS needs time to process the unsubscriptions.
      setTimeout(() => this.#leave(), LEAVE_AGAIN_MS);
      return;
    }
  }

  /** Must be called when a subscriber has left the channel. */
  #onFewer(key: string): void {
    const subscribed = this.#subscribed.get(key);
    if (subscribed === undefined) return;
    this.#shareLoop(key);
    if (this.#parts.subscriptions.subscriberCount(key) > 0) return;
    subscribed.event.unsubscribe();
    this.#parts.publishWindow.count(0);
    this.#subscribed.delete(key);
    this.#parts.onChannel(key, false);
  }

  #shareLoop(key: string): void {
    const loops = this.#subscribed.get(key)?.loops;
    if (loops === undefined) return;
    const shares = Math.min(this.#parts.subscriptions.subscriberCount(key), MAX_LOOP_SHARES);
    while (loops.length > shares) {
      loops.pop()?.unsubscribe();
      this.#parts.publishWindow.count(0);
    }
    while (loops.length < shares) {
      this.#parts.publishWindow.count(key.length);
      const onLoop = (message: BusMessage) =>
        this.#parts.deliveries.add(message.data.length, this.#onLoop(key, message));
      loops.push(this.#parts.bus.subscribe(this.#subject("loop", key), onLoop, LOOP_GROUP));
    }
  }

  #subject(kind: "event" | "loop", key: string): string {
    return this.#parts.subjects.channel(kind, key, hashName);
  }
}
