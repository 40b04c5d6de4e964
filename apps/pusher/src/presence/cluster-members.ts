import { type Bus, type BusMessage, parseJson } from "@fanwire/bus";
import { presenceAnnouncement, presenceMessage, type Subjects } from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import { SlicedWork } from "../pacing/sliced-work.ts";
import { Announcer } from "./announcer.ts";
import { answer } from "./answers.ts";
import { Fences } from "./fences.ts";
import { type OtherWorker, OtherWorkers } from "./other-workers.ts";
import type { Join, PresentTopic } from "./present-topic.ts";
import { Questions } from "./questions.ts";

type ClusterParts = {
  readonly bus: Bus;
  readonly subjects: Subjects;
  readonly workerId: string;
  readonly log: Log;
  /** The topics with joins of this worker. */
  readonly topics: ReadonlyMap<string, PresentTopic>;
  /** Called when the members of a topic on all workers are known, or some of these did not answer in time. */
  onLoaded(topic: PresentTopic): void;
  /** Called with joins whose claims all other workers know. Their topics have the earlier claims of those workers. */
  onFenced(joins: readonly Join[]): void;
};

/** Keeps the views of topics up to date with what other workers announce, and announces the users of this worker. */
export class ClusterMembers {
  readonly #parts: ClusterParts;
  readonly #announcer: Announcer;
  readonly #others: OtherWorkers;
  readonly #fences: Fences<Join>;
  readonly #questions = new Map<OtherWorker, Questions>();
  readonly #work = new SlicedWork();
  readonly #loading = new Set<PresentTopic>();
  /** Topics from which the users of a worker are still to be removed. */
  readonly #dropping = new Map<string, Set<PresentTopic>>();
  /** First bytes of this worker's announcements, which NATS sends back. */
  readonly #ownPrefix: Buffer;
  #asks = 0;
  #gaps = 0;

  constructor(parts: ClusterParts) {
    this.#parts = parts;
    const { bus, subjects, workerId } = parts;
    this.#ownPrefix = Buffer.from(`{"worker":"${workerId}"`);
    this.#others = new OtherWorkers({
      ...parts,
      countTopics: () => parts.topics.size,
      onGap: (other) => this.#onGap(other),
      onEmpty: (other) => this.#drop(other),
      onLost: (other) => this.#onLost(other),
      onBeat: () => this.#work.add(this.#announcer.repeat()),
    });
    this.#announcer = new Announcer({ ...parts, onLost: () => this.#others.skipBeat() });
    this.#fences = new Fences({
      ...parts,
      peerIds: () => [...this.#questions.keys()].map(({ id }) => id),
      onceConfirmed: (callback) => this.#announcer.onceConfirmed(callback),
      onPassed: (joins) => parts.onFenced(joins),
    });
    bus.subscribe(subjects.presenceWorker(workerId), (message) => this.#onMessage(message));
    bus.onConnection((isConnected) => {
      if (isConnected) this.#others.onReconnect();
    });
    this.#others.start();
  }

  /** Number of questions to other workers for their users. */
  get asks(): number {
    return this.#asks;
  }

  /** Number of announcements that arrived without the one before. */
  get gaps(): number {
    return this.#gaps;
  }

  /** Number of other workers. */
  get others(): number {
    return this.#questions.size;
  }

  stop(): void {
    this.#others.stop();
  }

  /** Begins to learn of the users of other workers on a topic. */
  open(topic: PresentTopic): void {
    this.#loading.add(topic);
    topic.subscription = this.#parts.bus.subscribe(topic.subject, (message) => this.#onAnnouncement(topic, message));
    for (const [other, questions] of this.#questions) {
      questions.want(topic.name, { isUrgent: true });
      if (!questions.isSilent) topic.awaited.add(other.id);
    }
    this.#announcer.onceConfirmed(() => {
      topic.isSubscribed = true;
      this.#checkLoaded(topic);
    });
  }

  close(topic: PresentTopic): void {
    this.#loading.delete(topic);
    topic.subscription?.unsubscribe();
    for (const questions of this.#questions.values()) questions.forget(topic.name);
  }

  announce(topic: PresentTopic, user: string): void {
    this.#announcer.announce(topic, user);
  }

  onceConfirmed(callback: () => void): void {
    this.#announcer.onceConfirmed(callback);
  }

  /** Calls `onFenced` with a join when all other workers know its claim, or did not answer in time. */
  fence(join: Join): void {
    this.#fences.add(join);
  }

  /**
   * Must be called instead of {@link check} if this process was stopped. It has not read yet what others sent
   * meanwhile.
   */
  extendDeadlines(stoppedMs: number): void {
    this.#others.extendDeadlines(stoppedMs);
    this.#fences.extendDeadlines(stoppedMs);
    for (const topic of this.#loading) topic.loadedBy += stoppedMs;
  }

  /** Must be called several times a second. */
  check(): void {
    this.#others.check();
    this.#fences.check();
    for (const questions of this.#questions.values()) questions.check();
    for (const topic of this.#loading) this.#checkLoaded(topic);
  }

  #checkLoaded(topic: PresentTopic): void {
    if (!this.#loading.has(topic)) return;
    const isComplete = topic.isSubscribed && topic.awaited.size === 0 && this.#others.isSettled;
    if (!isComplete && performance.now() < topic.loadedBy) return;
    this.#loading.delete(topic);
    topic.isLoaded = true;
    topic.awaited.clear();
    this.#parts.onLoaded(topic);
  }

  /** Asks a worker for everything, because it is new or announcements of it were lost. */
  #onGap(other: OtherWorker): void {
    const questions = this.#questions.get(other) ?? this.#openQuestions(other);
    questions.restart();
    if (other.topics === 0) return;
    for (const topic of this.#loading) {
      questions.want(topic.name, { isUrgent: true });
      topic.awaited.add(other.id);
    }
    this.#work.add(this.#askLater(other, questions));
  }

  /** After a reconnection this worker asks all others for all of its topics. */
  *#askLater(other: OtherWorker, questions: Questions): Iterable<void> {
    for (const { name, isLoaded } of this.#parts.topics.values()) {
      if (this.#questions.get(other) !== questions) return;
      if (isLoaded) questions.want(name, { isUrgent: false });
      yield;
    }
  }

  #openQuestions(other: OtherWorker): Questions {
    const { topics } = this.#parts;
    const { id } = other;
    const questions = new Questions({
      ...this.#parts,
      peerId: id,
      onSnapshot: (name, counter, users) => {
        const topic = topics.get(name);
        if (topic === undefined) return;
        this.#dropNow(id, topic);
        if (counter >= (topic.view.counterOf(id) ?? 0)) topic.view.replace(id, counter, users);
      },
      onNone: (name, clock) => {
        const { view } = topics.get(name) ?? {};
        if (clock >= (view?.counterOf(id) ?? 0)) view?.drop(id);
      },
      onAnswered: (name) => {
        const topic = topics.get(name);
        if (topic?.awaited.delete(id)) this.#checkLoaded(topic);
      },
      onAsk: () => {
        this.#asks++;
      },
    });
    this.#questions.set(other, questions);
    return questions;
  }

  #onLost(other: OtherWorker): void {
    this.#questions.delete(other);
    this.#drop(other);
    this.#fences.forget(other.id);
  }

  /** Removes the users of a worker from all views. */
  #drop(other: OtherWorker): void {
    // A worker without users has no gap, but its questions are opened when it appears.
    if (this.#others.has(other) && !this.#questions.has(other)) this.#openQuestions(other);
    for (const topic of this.#loading) {
      topic.awaited.delete(other.id);
      this.#checkLoaded(topic);
    }
    const known = [...this.#parts.topics.values()].filter(({ view }) => view.counterOf(other.id) !== undefined);
    if (known.length === 0) return;
    this.#dropping.set(other.id, new Set(known));
    this.#work.add(this.#dropLater(other.id));
  }

  *#dropLater(worker: string): Iterable<void> {
    const topics = this.#dropping.get(worker);
    for (const topic of topics ?? []) {
      this.#dropNow(worker, topic);
      yield;
    }
    // If the worker was lost again meanwhile, another job removes its users from other topics.
    if (this.#dropping.get(worker) === topics) this.#dropping.delete(worker);
  }

  /** Removes what is still to be removed before something newer is applied. */
  #dropNow(worker: string, topic: PresentTopic): void {
    if (this.#dropping.get(worker)?.delete(topic)) topic.view.drop(worker);
  }

  #onAnnouncement(topic: PresentTopic, message: BusMessage): void {
    if (this.#ownPrefix.equals(message.data.subarray(0, this.#ownPrefix.length))) return;
    const { data } = presenceAnnouncement.safeParse(parseJson(message));
    if (data === undefined) {
      this.#parts.log.warn({ subject: message.subject }, "invalid announcement of members");
      return;
    }
    const { worker, previous, counter, joined, left, isEmpty } = data;
    const other = worker === this.#parts.workerId ? undefined : this.#others.noteMessage(worker);
    if (other === undefined) return;
    const { view } = topic;
    this.#dropNow(worker, topic);
    const known = view.counterOf(worker);
    if (known !== undefined && counter <= known) return;
    if (isEmpty) view.drop(worker);
    else if (previous === 0) view.replace(worker, counter, new Map(joined.map((present) => [present.user, present])));
    else if (previous === known) view.apply(worker, counter, joined, left);
    else if (this.#questions.get(other)?.noteAnnounced(topic.name, counter)) this.#gaps++;
  }

  #onMessage(message: BusMessage): void {
    const { data } = presenceMessage.safeParse(parseJson(message));
    if (data === undefined) {
      this.#parts.log.warn({ subject: message.subject }, "invalid message about members");
      return;
    }
    const other = this.#others.noteMessage(data.worker);
    if (data.kind === "answer") {
      if (other) this.#questions.get(other)?.receive(data);
      return;
    }
    if (data.kind === "fence") {
      this.#fences.pass(data);
      return;
    }
    if (data.kind === "passed") {
      this.#fences.receive(data);
      return;
    }
    const { topics } = this.#parts;
    this.#work.add(
      answer(data, { ...this.#parts, topic: (name) => topics.get(name), clock: () => this.#announcer.clock }),
    );
  }
}
