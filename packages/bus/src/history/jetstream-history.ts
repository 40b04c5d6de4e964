import type { HistoryState, Subjects } from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import { type ConsumerAPI, type JetStreamManager, jetstreamManager } from "@nats-io/jetstream";
import type { HeaderEntries } from "../bus.ts";
import type { NatsBus } from "../nats.ts";
import type { HistoryConfig } from "../settings.ts";
import { HistoryAppender } from "./appender.ts";
import type { AppendOutcome, History, Outcome, ReadOutcome, ReadRequest, StoredPublication } from "./history.ts";
import { askingLeaders } from "./leader-requests.ts";
import { fromStored } from "./page.ts";
import { HistoryReader } from "./reader.ts";
import { HistoryStream } from "./stream.ts";
import { StreamWatch } from "./stream-state.ts";

/** JetStream answers at once or not at all: its leader died. */
const REQUEST_TIMEOUT_MS = 2_000;
const CONSUMER_TIMEOUT_MS = 1_000;

type HistoryParts = {
  readonly bus: NatsBus;
  readonly subjects: Subjects;
  /** Limits of the stream, when it is we who create it. */
  readonly config: HistoryConfig;
  readonly log: Log;
};

/** The history on the bus's connection. Nothing is asked of JetStream before the first use. */
export async function openJetStreamHistory(parts: HistoryParts): Promise<JetStreamHistory> {
  const connection = askingLeaders(parts.bus);
  const jsm = await jetstreamManager(connection, { checkAPI: false, timeout: REQUEST_TIMEOUT_MS });
  const impatient = await jetstreamManager(connection, { checkAPI: false, timeout: CONSUMER_TIMEOUT_MS });
  return new JetStreamHistory(parts, jsm, impatient.consumers);
}

export class JetStreamHistory implements History {
  readonly #watch: StreamWatch;
  readonly #appender: HistoryAppender;
  readonly #reader: HistoryReader;
  readonly #subjects: Subjects;

  constructor({ bus, subjects, config, log }: HistoryParts, jsm: JetStreamManager, consumers: ConsumerAPI) {
    this.#subjects = subjects;
    this.#watch = new StreamWatch(new HistoryStream(jsm, subjects, config, log), () => bus.disconnects);
    this.#appender = new HistoryAppender(bus, this.#watch, subjects.historyStream);
    this.#reader = new HistoryReader({ bus, jsm, consumers, watch: this.#watch, subjects });
  }

  get epoch(): string | undefined {
    return this.#watch.epoch;
  }

  append(subject: string, content: Uint8Array, headers?: HeaderEntries, id?: string): Promise<AppendOutcome> {
    return this.#appender.append(subject, content, headers, id);
  }

  read(request: ReadRequest): Promise<ReadOutcome> {
    return this.#reader.read(request);
  }

  async find(sequence: number): Promise<Outcome<{ readonly publication: StoredPublication | undefined }>> {
    // Sequences begin with 1; the server refuses to look for another.
    if (sequence < 1) return { ok: true, publication: undefined };
    const answer = await this.#reader.get({ seq: sequence });
    if (!answer.ok) return answer;
    return { ok: true, publication: answer.result === null ? undefined : fromStored(answer.result, this.#subjects) };
  }

  count(subject: string): Promise<Outcome<{ readonly count: number }>> {
    return this.#reader.count(subject);
  }

  state(): Promise<Outcome<{ readonly history: HistoryState }>> {
    return this.#reader.state();
  }

  stop(): void {
    this.#appender.stop();
  }
}
