import { setTimeout as delay } from "node:timers/promises";
import { postPublication } from "../support/http-api.ts";
import type { Population } from "./population.ts";

/** Requests in flight. When there are too many, the load waits. */
const MAX_UNANSWERED = 100;

/** Publishes with all kinds of targets at a constant rate, through the HTTP API. */
export class Publishing {
  /** Answers by status. */
  readonly answers = new Map<number, number>();
  readonly #publisherUrl: string;
  readonly #population: Population;
  readonly #everyMs: number;
  readonly #unanswered = new Set<Promise<void>>();
  readonly #loop: Promise<void>;
  #isStopping = false;

  constructor(publisherUrl: string, population: Population, rate: number) {
    this.#publisherUrl = publisherUrl;
    this.#population = population;
    this.#everyMs = 1_000 / rate;
    this.#loop = this.#publishAtPace();
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#loop;
    await Promise.all(this.#unanswered);
  }

  async #publishAtPace(): Promise<void> {
    let dueAt = performance.now();
    while (!this.#isStopping) {
      for (; dueAt <= performance.now() && this.#unanswered.size < MAX_UNANSWERED; dueAt += this.#everyMs) {
        const answered = this.#publish().finally(() => this.#unanswered.delete(answered));
        this.#unanswered.add(answered);
      }
      await delay(this.#everyMs);
    }
  }

  async #publish(): Promise<void> {
    const publication = { ...this.#choose(), data: "x".repeat(100 + Math.floor(Math.random() * 900)) };
    const { status } = await postPublication({ url: this.#publisherUrl }, publication).catch(() => ({ status: 0 }));
    this.answers.set(status, (this.answers.get(status) ?? 0) + 1);
  }

  #choose() {
    const { names, addresses } = this.#population;
    const kind = Math.random();
    if (kind < 0.6) return { target: { topic: names.topic() } };
    if (kind < 0.8) return { target: { topic: names.topic() }, durable: true };
    if (kind < 0.85) return { target: { everyone: true } };
    const [user, connection] = [...addresses][Math.floor(Math.random() * addresses.size)] ?? ["nobody"];
    if (kind < 0.95 || connection === undefined) return { target: { user }, durable: kind < 0.9 };
    return { target: { connection } };
  }
}
