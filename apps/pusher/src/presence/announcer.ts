import { setImmediate as nextTick } from "node:timers/promises";
import type { Bus } from "@fanwire/bus";
import type { PresenceAnnouncement, PresentUser } from "@fanwire/protocol";
import type { LocalMembers } from "./local-members.ts";

/**
 * Times after which the last announcement of a quiet topic is repeated. They are two, because a repetition may be lost
 * too.
 */
const REPEAT_AFTER_MS = [500, 2_500] as const;
/** An announcement with this many characters gets no further users. A character has at most three bytes. */
const FULL_LENGTH = 65_536;
/** Divisor of the `max_payload` of NATS. The smaller limit counts. */
const FULL_DIVISOR = 8;
/** Announcements are sent in slices, because there may be thousands of topics. */
const SLICE_MS = 5;

/** A topic as it is announced. */
export type Announced = {
  /** Where it is announced. */
  readonly subject: string;
  readonly locals: LocalMembers;
  /** The last announcement if it left users on the topic, otherwise 0. */
  counter: number;
};

type AnnouncerParts = {
  readonly bus: Bus;
  readonly workerId: string;
  /** Called when an announcement could not be sent. */
  onLost(): void;
};

/**
 * Announces the users of this worker to the others. Changes are collected until the end of the tick, and while NATS has
 * not confirmed earlier announcements. So the number of users bounds what waits.
 */
export class Announcer {
  readonly #parts: AnnouncerParts;
  #changed = new Map<Announced, Set<string>>();
  #confirming: (() => void)[] = [];
  #isRunning = false;
  #clock = 0;
  /** The last announcements that are still to be repeated. */
  readonly #unrepeated = new Map<Announced, { readonly counter: number; readonly at: number; repetitions: number }>();

  constructor(parts: AnnouncerParts) {
    this.#parts = parts;
  }

  /** Number of the last announcement. */
  get clock(): number {
    return this.#clock;
  }

  /** Announces the present state of a user on a topic. */
  announce(topic: Announced, user: string): void {
    const users = this.#changed.get(topic);
    if (users) users.add(user);
    else this.#changed.set(topic, new Set([user]));
    this.#start();
  }

  /** Calls back when NATS has confirmed all that was announced and subscribed before this call, or fails to. */
  onceConfirmed(callback: () => void): void {
    this.#confirming.push(callback);
    this.#start();
  }

  /** Sends the last announcement of quiet topics again. Must be called about every second. */
  *repeat(): Iterable<void> {
    const now = performance.now();
    for (const [topic, last] of this.#unrepeated) {
      const { counter, at } = last;
      if (now - at < (REPEAT_AFTER_MS[last.repetitions] ?? 0)) continue;
      last.repetitions++;
      if (last.repetitions >= REPEAT_AFTER_MS.length) this.#unrepeated.delete(topic);
      const isEmpty = topic.counter !== counter;
      this.#send(topic, { previous: counter, counter, joined: [], left: [], ...(isEmpty && { isEmpty }) });
      yield;
    }
  }

  #start(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    setImmediate(() => void this.#run());
  }

  async #run(): Promise<void> {
    while (this.#changed.size > 0 || this.#confirming.length > 0) {
      const changed = this.#changed;
      const confirming = this.#confirming;
      this.#changed = new Map();
      this.#confirming = [];
      let endsAt = performance.now() + SLICE_MS;
      for (const [topic, users] of changed) {
        for (const _ of this.#announceAll(topic, users)) {
          if (performance.now() < endsAt) continue;
          await nextTick();
          endsAt = performance.now() + SLICE_MS;
        }
      }
      await this.#parts.bus.confirm();
      for (const callback of confirming) callback();
    }
    this.#isRunning = false;
  }

  /** Yields after each announcement. */
  *#announceAll(topic: Announced, users: Iterable<string>): Iterable<void> {
    let joined: PresentUser[] = [];
    let left: string[] = [];
    const full = Math.min(FULL_LENGTH, this.#parts.bus.maxPayloadBytes() / FULL_DIVISOR);
    let length = 0;
    for (const user of users) {
      const present = topic.locals.present(user);
      if (present) joined.push(present);
      else left.push(user);
      length += JSON.stringify(present ?? user).length;
      if (length < full) continue;
      this.#announceSome(topic, joined, left);
      [joined, left, length] = [[], [], 0];
      yield;
    }
    this.#announceSome(topic, joined, left);
    if (topic.locals.isEmpty) topic.counter = 0;
    yield;
  }

  #announceSome(topic: Announced, joined: readonly PresentUser[], left: readonly string[]): void {
    if (joined.length + left.length === 0) return;
    this.#clock++;
    const counter = this.#clock;
    this.#send(topic, { previous: topic.counter, counter, joined, left });
    topic.counter = counter;
    this.#unrepeated.delete(topic);
    this.#unrepeated.set(topic, { counter, at: performance.now(), repetitions: 0 });
  }

  #send({ subject }: Announced, announcement: Omit<PresenceAnnouncement, "worker">): void {
    const { bus, workerId: worker, onLost } = this.#parts;
    const text = JSON.stringify({ worker, ...announcement } satisfies PresenceAnnouncement);
    if (bus.send(subject, Buffer.from(text)) !== "sent") onLost();
  }
}
