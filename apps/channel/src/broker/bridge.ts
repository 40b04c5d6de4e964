import type { Bus, BusMessage, BusSubscription } from "@fanwire/bus";
import {
  type DeliveryOutcome,
  headerNames,
  isWorkerId,
  isWorkermanWorkerId,
  parseConnectionId,
  type Subjects,
  type Target,
  VIA_CHANNEL,
} from "@fanwire/protocol";
import type { Steps } from "../data/steps.ts";
import { encodeArray, encodeString, readScalars } from "../php/values.ts";
import { encodeEvent, replyDataSlot } from "../wire/server-message.ts";
import type { BrokerPeer } from "./broker-peer.ts";
import type { Counters } from "./counters.ts";
import type { Deliveries } from "./deliveries.ts";
import type { PublishWindow } from "./publish-window.ts";
import type { Subscriptions } from "./subscriptions.ts";

// Keys of the event data that the classic cluster uses to push. Origin: its start_http.php and start_ws.php.
const CONTENT = "content";
const CONNECTION_ID = "to_connection_id";

const VIA = [[headerNames.via, VIA_CHANNEL]] as const;

type BridgeParts = {
  readonly bus: Bus;
  readonly publishWindow: PublishWindow;
  readonly subjects: Subjects;
  readonly subscriptions: Subscriptions<BrokerPeer>;
  readonly deliveries: Deliveries;
  /** Names of the events that address everyone. */
  readonly broadcastEvents: readonly string[];
  readonly counters: Counters;
};

type Broadcast = { readonly key: string; readonly name: Buffer };

/**
 * Carries publications between Workerman peers and the rest of the cluster: from PHP publishers to our connections, and
 * from our publisher to the connections of PHP pushers. A header marks each carried publication so that it never
 * returns.
 */
export class Bridge {
  readonly #parts: BridgeParts;
  readonly #broadcasts: readonly Broadcast[];
  readonly #broadcastKeys: ReadonlySet<string>;
  readonly #openBroadcasts = new Set<string>();
  #everyone: BusSubscription | undefined;
  /** NATS subscriptions by the number of the Workerman worker, as text. */
  readonly #workers = new Map<string, BusSubscription>();

  constructor(parts: BridgeParts) {
    this.#parts = parts;
    this.#broadcasts = parts.broadcastEvents.map((text) => ({
      key: Buffer.from(text).toString("latin1"),
      name: encodeString(text),
    }));
    this.#broadcastKeys = new Set(this.#broadcasts.map(({ key }) => key));
  }

  isBroadcast(key: string): boolean {
    return this.#broadcastKeys.has(key);
  }

  /** Whether an event of this name may address connections of the cluster. */
  isForCluster(key: string): boolean {
    return this.isBroadcast(key) || isWorkerId(key);
  }

  /** Publishes a peer's event to everyone. Must be called only if {@link isBroadcast} is true for its name. */
  toEveryone(data: Buffer): void {
    this.#parts.deliveries.add(data.length, this.#sendToEveryone(data));
  }

  *#sendToEveryone(data: Buffer): Steps<void> {
    const content = (yield* readScalars(data, replyDataSlot, [CONTENT]))?.get(CONTENT);
    if (content === undefined || content.type === "null") return;
    this.#send("to-everyone", { kind: "everyone" }, content.text);
  }

  /** Publishes a peer's event to one connection if the event is named after one of our workers. */
  toConnection(key: string, data: Buffer): void {
    if (isWorkerId(key)) this.#parts.deliveries.add(data.length, this.#sendToConnection(key, data));
  }

  *#sendToConnection(key: string, data: Buffer): Steps<void> {
    const scalars = yield* readScalars(data, replyDataSlot, [CONTENT, CONNECTION_ID]);
    const content = scalars?.get(CONTENT);
    const connectionId = parseConnectionId(scalars?.get(CONNECTION_ID)?.text.toString("latin1") ?? "");
    if (content === undefined || content.type === "null" || connectionId === undefined) return;
    this.#send("to-connection", { kind: "connection", connection: { workerId: key, connectionId } }, content.text);
  }

  /** Must be called when the first peer of this server subscribes to a channel, and when the last one unsubscribes. */
  onChannel(key: string, isOpen: boolean): void {
    if (this.#broadcastKeys.has(key)) this.#onBroadcastChannel(key, isOpen);
    if (isWorkermanWorkerId(key)) this.#onWorkerChannel(key, isOpen);
  }

  #onBroadcastChannel(key: string, isOpen: boolean): void {
    if (isOpen) this.#openBroadcasts.add(key);
    else this.#openBroadcasts.delete(key);
    if (this.#openBroadcasts.size > 0) {
      const { bus, subjects } = this.#parts;
      const onMessage = (message: BusMessage) =>
        this.#parts.deliveries.add(message.data.length, this.#fromEveryone(message));
      this.#everyone ??= bus.subscribe(subjects.live({ kind: "everyone" }), onMessage);
    } else {
      this.#everyone?.unsubscribe();
      this.#everyone = undefined;
    }
  }

  #onWorkerChannel(workerId: string, isOpen: boolean): void {
    const { bus, subjects } = this.#parts;
    if (isOpen) {
      const subject = subjects.liveConnections(workerId);
      const onMessage = (message: BusMessage) => {
        const steps = this.#fromConnection(workerId, message.subject.slice(subject.length - 1), message);
        this.#parts.deliveries.add(message.data.length, steps);
      };
      this.#workers.set(workerId, bus.subscribe(subject, onMessage));
    } else {
      this.#workers.get(workerId)?.unsubscribe();
      this.#workers.delete(workerId);
    }
  }

  *#fromEveryone(message: BusMessage): Steps<void> {
    if (message.headers?.get(headerNames.via) === VIA_CHANNEL) return;
    const { subscriptions, counters } = this.#parts;
    // Peers may subscribe and unsubscribe between the steps.
    const broadcasts = this.#broadcasts.filter(({ key }) => this.#openBroadcasts.has(key));
    const data = encodeArray([[CONTENT, encodeString(message.data)]]);
    // A peer that subscribes to several of the names receives the publication once, under the first name.
    const reached = broadcasts.length > 1 ? new Set<BrokerPeer>() : undefined;
    let isLost = false;
    for (const { key, name } of broadcasts) {
      const payload = encodeEvent(name, data);
      if (payload === undefined) {
        isLost = true;
        continue;
      }
      subscriptions.forEach(key, (peer) => {
        if (reached?.has(peer)) return;
        reached?.add(peer);
        peer.deliver(payload);
      });
      yield;
    }
    if (isLost) counters.bridgeLosses++;
    else if (broadcasts.length > 0) counters.bridged["from-everyone"]++;
  }

  // Publications to everyone and to one connection keep their order, so both wait for earlier deliveries.

  *#fromConnection(workerId: string, connectionId: string, message: BusMessage): Steps<void> {
    let outcome: DeliveryOutcome | undefined = "no-connection";
    if (parseConnectionId(connectionId) !== undefined) {
      const data = encodeArray([
        [CONNECTION_ID, encodeString(connectionId)],
        [CONTENT, encodeString(message.data)],
      ]);
      const payload = encodeEvent(encodeString(workerId), data);
      // Each call copies the content, which may have ten megabytes.
      yield;
      outcome = this.#forward(workerId, payload);
    }
    if (outcome !== undefined) message.respond(JSON.stringify({ outcome }));
  }

  /** Returns `undefined` if all peers of the worker have left meanwhile, because another server may have more. */
  #forward(workerId: string, payload: Buffer | undefined): DeliveryOutcome | undefined {
    const { counters, subscriptions } = this.#parts;
    if (payload === undefined) {
      counters.bridgeLosses++;
      return "uncarried";
    }
    let isForwarded = false;
    subscriptions.forEach(workerId, (peer) => {
      if (peer.isClosed) return;
      peer.deliver(payload);
      isForwarded = true;
    });
    if (!isForwarded) return undefined;
    counters.bridged["from-connection"]++;
    return "forwarded";
  }

  #send(direction: "to-everyone" | "to-connection", target: Target, content: Buffer): void {
    const { publishWindow, subjects, counters } = this.#parts;
    if (publishWindow.send(subjects.live(target), content, VIA) === "sent") counters.bridged[direction]++;
    else counters.bridgeLosses++;
  }
}
