import { setTimeout as delay } from "node:timers/promises";
import { type ChannelPeer, connectPeer } from "../support/channel-peer.ts";
import type { TestChannel } from "../support/cluster.ts";
import { until } from "../support/wait.ts";
import type { Part } from "./part.ts";

const EVERY_MS = 100;
const EVENT = "chaos";

/** A Workerman process at each channel server: it publishes events, hears those of all, and comes back when it is cut off. */
export class ChannelTraffic {
  readonly repeated: string[] = [];
  #published = 0;
  #heard = 0;
  /** By who heard and who published: the newest. */
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

  get heard(): number {
    return this.#heard;
  }

  /** Resolves when each has heard an event of each other that was published from now on. */
  async untilAllHear(): Promise<void> {
    const now = this.#published;
    const pairs = this.#channels.flatMap(({ name }) => this.#channels.map((other) => `${name} < ${other.name}`));
    await until(
      "every peer hears new events",
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
      for (const payload of peer?.payloads.splice(0) ?? []) this.#hear(name, payload, seen);
    }
    peer?.[Symbol.dispose]();
  }

  #hear(name: string, payload: string, seen: Set<string>): void {
    const [key = "", origin, number] = /"(channel \d+):(\d+)"/.exec(payload) ?? [];
    this.#heard++;
    if (seen.has(key)) this.repeated.push(`the peer of ${name} heard ${key} twice`);
    seen.add(key);
    this.#newest.set(`${name} < ${origin}`, Number(number));
  }
}
