import { setTimeout as delay } from "node:timers/promises";
import { type ChannelPeer, connectPeer } from "../support/channel-peer.ts";
import type { TestChannel } from "../support/cluster.ts";
import { until } from "../support/wait.ts";
import type { Part } from "./service-process.ts";

const EVERY_MS = 100;
const EVENT = "chaos";

/** A Workerman process at each channel server. It publishes events, receives those of all, and reconnects. */
export class ChannelTraffic {
  readonly repeated: string[] = [];
  #published = 0;
  #received = 0;
  /** The newest event by receiver and publisher. */
  readonly #newest = new Map<string, number>();
  readonly #channels: readonly Part<TestChannel>[];
  readonly #disconnected: (channel: string) => void;
  readonly #loops: Promise<void>[];
  #isStopping = false;

  constructor(channels: readonly Part<TestChannel>[], disconnected: (channel: string) => void) {
    this.#channels = channels;
    this.#disconnected = disconnected;
    this.#loops = channels.map((channel) => this.#takePart(channel));
  }

  get published(): number {
    return this.#published;
  }

  get received(): number {
    return this.#received;
  }

  /** Waits until each process has received a later event of each other process. */
  async untilAllReceive(): Promise<void> {
    const now = this.#published;
    const pairs = this.#channels.flatMap(({ name }) => this.#channels.map((other) => `${name} < ${other.name}`));
    await until(
      "every peer receives new events",
      () => pairs.every((pair) => (this.#newest.get(pair) ?? 0) > now),
      60_000,
    );
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all(this.#loops);
  }

  async #takePart(channel: Part<TestChannel>): Promise<void> {
    const { name } = channel;
    const seen = new Set<string>();
    let peer: ChannelPeer | undefined;
    for (; !this.#isStopping; await delay(EVERY_MS)) {
      if (peer?.isClosed()) {
        this.#disconnected(name);
        peer = undefined;
      }
      if (peer === undefined) {
        peer = await connectPeer({ port: channel.service.port }).catch(() => undefined);
        peer?.subscribe(EVENT);
      }
      peer?.publish([EVENT], `${name}:${++this.#published}`);
      for (const payload of peer?.payloads.splice(0) ?? []) this.#receive(name, payload, seen);
    }
    peer?.[Symbol.dispose]();
  }

  #receive(name: string, payload: string, seen: Set<string>): void {
    const [key = "", origin, number] = /"(channel \d+):(\d+)"/.exec(payload) ?? [];
    this.#received++;
    if (seen.has(key)) this.repeated.push(`the peer of ${name} received ${key} twice`);
    seen.add(key);
    this.#newest.set(`${name} < ${origin}`, Number(number));
  }
}
