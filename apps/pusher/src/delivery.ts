import { isUtf8 } from "node:buffer";
import type { BusMessage } from "@fanwire/bus";
import { type DeliveryOutcome, headerNames, parseConnectionAddress } from "@fanwire/protocol";
import type { Connection } from "./connection.ts";
import type { Connections } from "./core/connections.ts";
import { type Delivered, encodeFanwire, encodeSse } from "./core/encoding.ts";
import { FlushWindow } from "./flush-window.ts";
import { JoinedFrames } from "./joined-frames.ts";
import type { Followable, Receipts } from "./receipts.ts";
import type { Traffic } from "./traffic.ts";
import { type Trees, treeName } from "./trees.ts";

/** What this worker listens to on NATS on behalf of its connections. */
export type Followed = Followable & {
  /** The topic of a message that came in; undefined where there is none. */
  topicOf(message: BusMessage): string | undefined;
};

type DeliveryParts = {
  readonly workerId: string;
  readonly connections: Connections<Connection>;
  readonly webSockets: Trees;
  readonly responses: Trees;
  readonly traffic: Traffic;
  readonly receipts: Receipts;
  readonly flushMs: number;
};

type ToFollowers = {
  readonly followed: Followed;
  readonly message: BusMessage;
  readonly position: string | undefined;
};

/** Hands publications to connections: decoded once, encoded once for each door, written by the door's tree. */
export class Delivery {
  readonly #parts: DeliveryParts;
  readonly #window: FlushWindow<ToFollowers>;
  readonly #joined: JoinedFrames;

  constructor(parts: DeliveryParts) {
    this.#parts = parts;
    this.#window = new FlushWindow(parts.flushMs, (publication) => this.#write(publication));
    this.#joined = new JoinedFrames(parts.webSockets);
  }

  /** To all connections that follow it, when the window is over. */
  toFollowers(publication: ToFollowers): void {
    this.#window.push(publication);
  }

  toConnection(connectionId: number, message: BusMessage): DeliveryOutcome {
    const connection = this.#parts.connections.get(connectionId);
    if (connection === undefined || connection === this.#exceptedConnection(message)) return "gone";

    this.flush();
    const sent = sendTo(connection, message);
    if (sent === 2) return "gone";
    this.#count(1, message.data.length);
    return sent === 1 ? "delivered" : "buffered";
  }

  /**
   * Publications wait for the end of the window, and to connections of fanwire.v1 for the end of the turn, to share a frame. To be
   * called before a connection joins or leaves what it follows, or is sent something else.
   */
  flush(): void {
    this.#window.flush();
    this.#joined.flush();
  }

  #write({ followed, message, position }: ToFollowers): void {
    const { webSockets, responses, receipts } = this.#parts;
    const excepted = this.#exceptedConnection(message);
    const { trees } = followed;

    let deliveries = 0;
    if (webSockets.count(trees.raw) > 0) {
      deliveries += publish(webSockets, trees.raw, { frame: message.data, isBinary: !isUtf8(message.data), excepted });
    }
    const fanwireCount = webSockets.count(trees["fanwire.v1"]);
    const sseCount = responses.count(trees.sse);
    if (fanwireCount + sseCount > 0) {
      const delivered = decode(message, { topic: followed.topicOf(message), pattern: followed.pattern, position });
      if (fanwireCount > 0) deliveries += this.#toFanwire(trees["fanwire.v1"], encodeFanwire(delivered), excepted);
      if (sseCount > 0) {
        deliveries += publish(responses, trees.sse, { frame: encodeSse(delivered), isBinary: false, excepted });
      }
    }
    this.#count(deliveries, message.data.length);
    const receipt = message.headers?.get(headerNames.receipt);
    if (receipt && deliveries > 0) {
      receipts.note(receipt, { followed, handedTo: deliveries, exceptedId: excepted?.getUserData().connectionId });
    }
  }

  #toFanwire(tree: string, message: string, excepted: Connection | undefined): number {
    const { webSockets } = this.#parts;
    if (!excepted?.isSubscribed(tree)) {
      this.#joined.publish(tree, message);
      return webSockets.count(tree);
    }
    this.#joined.flush();
    return publish(webSockets, tree, { frame: message, isBinary: false, excepted });
  }

  #count(deliveries: number, contentBytes: number): void {
    this.#parts.traffic.deliveries += deliveries;
    this.#parts.traffic.deliveredBytes += deliveries * contentBytes;
  }

  /** The connection of this worker that must not get the publication. */
  #exceptedConnection(message: BusMessage): Connection | undefined {
    const id = exceptedId(message, this.#parts.workerId);
    return id === undefined ? undefined : this.#parts.connections.get(id);
  }
}

type Written = {
  readonly frame: string | Uint8Array;
  readonly isBinary: boolean;
  readonly excepted: Connection | undefined;
};

/** How many connections it was handed to. */
function publish(trees: Trees, tree: string, { frame, isBinary, excepted }: Written): number {
  const members = trees.count(tree);
  if (excepted?.isSubscribed(tree)) {
    excepted.publish(tree, frame, isBinary);
    return members - 1;
  }
  trees.publish(tree, frame, isBinary);
  return members;
}

/** The connection of this worker that must not get a publication. */
export function exceptedId(message: BusMessage, workerId: string): number | undefined {
  const except = message.headers?.get(headerNames.except);
  if (!except) return undefined;
  const address = parseConnectionAddress(except);
  return address?.workerId === workerId ? address.connectionId : undefined;
}

export function treesOf(subject: string): Followed["trees"] {
  return {
    raw: treeName("raw", subject),
    "fanwire.v1": treeName("fanwire.v1", subject),
    sse: treeName("sse", subject),
  };
}

function sendTo(connection: Connection, message: BusMessage): number {
  switch (connection.getUserData().door) {
    case "raw":
      return connection.send(message.data, !isUtf8(message.data));
    case "fanwire.v1":
      return connection.send(encodeFanwire(decode(message, NOWHERE)), false);
    case "sse":
      return connection.send(encodeSse(decode(message, NOWHERE)));
  }
}

type Where = {
  readonly topic: string | undefined;
  readonly pattern: string | undefined;
  readonly position: string | undefined;
};
const NOWHERE: Where = { topic: undefined, pattern: undefined, position: undefined };

export function decode(message: BusMessage, { topic, pattern, position }: Where): Delivered {
  const { data, headers } = message;
  const content = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const isBinary = !isUtf8(content);
  return {
    data: content.toString(isBinary ? "base64" : "utf8"),
    isBinary,
    event: headers?.get(headerNames.event) || undefined,
    id: headers?.get(headerNames.id) || undefined,
    position,
    topic,
    subscription: topic === pattern ? undefined : pattern,
  };
}
