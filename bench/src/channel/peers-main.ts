import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { answerCalls } from "../calls.ts";
import { nowMicros } from "../clock.ts";
import { encodeContent } from "../content.ts";
import { publishPaced } from "../pacer.ts";
import type { PeerCalls } from "./calls.ts";
import { Subscriber } from "./subscriber.ts";
import { publishFrame, readyFrame } from "./wire.ts";

const READY_POLL_MS = 20;
/** Maximum events in flight: enough to keep every process busy, fewer than NATS buffers for a slow consumer. */
const MAX_IN_FLIGHT = 20_000;
const FRAMES_PER_WRITE = 200;

let subscribers: Subscriber[] = [];
let publisher: Socket | undefined;
let heardAtMicros = 0;
let onReceived = () => {};

const onEvents = () => {
  heardAtMicros = nowMicros();
  onReceived();
};
const leastReceived = () => subscribers.reduce((least, { next }) => Math.min(least, next), Number.POSITIVE_INFINITY);

function publisherSocket(): Socket {
  if (publisher === undefined) throw new Error("there is no publisher");
  return publisher;
}

/** Resolves when fewer than `count` of the first `sent` events are in flight. */
async function heardAllBut(count: number, sent: number): Promise<void> {
  while (sent - leastReceived() >= count) {
    await new Promise<void>((resolve) => {
      onReceived = resolve;
    });
  }
  onReceived = () => {};
}

answerCalls<PeerCalls>({
  open: async ({ subscriberPort, publisherPort, subscribers: count }) => {
    subscribers = Array.from({ length: count }, () => new Subscriber(subscriberPort, onEvents));
    if (publisherPort !== null) {
      publisher = connect({ host: "127.0.0.1", port: publisherPort, noDelay: true });
      await once(publisher, "connect");
    }
    while (!subscribers.every(({ isReady }) => isReady)) {
      publisher?.write(readyFrame);
      await delay(READY_POLL_MS);
    }
    return null;
  },
  publish: (plan) =>
    publishPaced(plan, (contents) => void publisherSocket().write(Buffer.concat(contents.map(publishFrame)))),
  publishFlatOut: async ({ first, count }) => {
    const socket = publisherSocket();
    const startedAt = nowMicros();
    const template = publishFrame(encodeContent(0, 0));
    const contentAt = template.length - encodeContent(0, 0).length - '";}'.length;
    for (let sent = 0; sent < count; ) {
      const frames = Math.min(FRAMES_PER_WRITE, count - sent);
      const bytes = Buffer.allocUnsafe(frames * template.length);
      for (let at = 0; at < frames; at++, sent++) {
        template.copy(bytes, at * template.length);
        encodeContent(first + sent, 0).copy(bytes, at * template.length + contentAt);
      }
      if (!socket.write(bytes)) await once(socket, "drain");
      await heardAllBut(MAX_IN_FLIGHT, first + sent);
    }
    return startedAt;
  },
  settle: async ({ total, quietMs }) => {
    heardAtMicros = nowMicros();
    while (leastReceived() < total && nowMicros() - heardAtMicros < quietMs * 1_000) await delay(1);
    const missing = subscribers.reduce((sum, { next }) => sum + Math.max(0, total - next), 0);
    const faults = subscribers.reduce((sum, subscriber) => sum + subscriber.faults, missing);
    return { settledAtMicros: heardAtMicros, faults };
  },
});
