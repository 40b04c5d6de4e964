import { signal } from "@preact/signals";
import type { ApiClient, ApiFailure, Query } from "../api/client.ts";
import { readEvents, type StreamEvent } from "../api/event-stream.ts";
import { type Entry, entryOf, type Skipped } from "./entry.ts";

/** Entries that are kept for the filter. The table shows fewer. */
const MAX_ENTRIES = 1_000;
const RETRY_MS = 3_000;
/** Entries of this long are drawn together. */
const DRAW_MS = 100;

type State = "connecting" | "open" | "waiting";

/** The live trace. While it is paused, it still receives, and keeps the newest entries. */
export class TraceStream {
  readonly #api: ApiClient;
  #stopping: AbortController | undefined;
  #received: Entry[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Numbers of the newest entry received and of the newest drawn. */
  #lastNumber = 0;
  #lastDrawn = 0;
  readonly state = signal<State>("connecting");
  readonly failure = signal<ApiFailure | undefined>(undefined);
  readonly entries = signal<readonly Entry[]>([]);
  readonly isPaused = signal(false);
  /** Number of entries that arrived while the trace was paused, also of those that are no longer kept. */
  readonly arrivedCount = signal(0);
  /** All that was left out since the start. Null: some of it was not counted. */
  readonly skipped = signal<Skipped>({ publications: 0, events: 0 });

  constructor(api: ApiClient) {
    this.#api = api;
  }

  /** Replaces the current stream. The entries stay. */
  start(query: Query): void {
    this.stop();
    const stopping = new AbortController();
    this.#stopping = stopping;
    void this.#run(query, stopping.signal);
  }

  stop(): void {
    this.#stopping?.abort();
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  togglePause(): void {
    this.isPaused.value = !this.isPaused.value;
    if (!this.isPaused.value) this.#draw();
  }

  clear(): void {
    this.#received = [];
    this.#lastDrawn = this.#lastNumber;
    this.entries.value = [];
    this.arrivedCount.value = 0;
    this.skipped.value = { publications: 0, events: 0 };
  }

  async #run(query: Query, stopping: AbortSignal): Promise<void> {
    while (!stopping.aborted) {
      this.state.value = "connecting";
      const opened = await this.#api.stream("v1/trace", query, stopping);
      if (stopping.aborted) return;
      this.failure.value = opened.ok ? undefined : opened;
      if (opened.ok) {
        this.state.value = "open";
        await readEvents(opened.value, (event) => this.#receive(event)).catch(() => {});
      }
      if (stopping.aborted) return;
      this.state.value = "waiting";
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }

  #receive(event: StreamEvent): void {
    if (event.event === "skipped") this.#onSkipped(JSON.parse(event.data) as Skipped);
    const entry = entryOf(event, this.#lastNumber + 1);
    if (entry === undefined) return;
    this.#lastNumber = entry.number;
    this.#received.push(entry);
    if (this.#received.length > MAX_ENTRIES) this.#received.shift();
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      if (this.isPaused.value) this.arrivedCount.value = this.#lastNumber - this.#lastDrawn;
      else this.#draw();
    }, DRAW_MS);
  }

  #draw(): void {
    const newest = this.#received.reverse();
    this.#received = [];
    this.#lastDrawn = this.#lastNumber;
    this.arrivedCount.value = 0;
    this.entries.value = [...newest, ...this.entries.value].slice(0, MAX_ENTRIES);
  }

  #onSkipped({ publications, events }: Skipped): void {
    const before = this.skipped.value;
    this.skipped.value = {
      publications: sumOf(before.publications, publications),
      events: sumOf(before.events, events),
    };
  }
}

function sumOf(one: number | null, other: number | null): number | null {
  return one === null || other === null ? null : one + other;
}
