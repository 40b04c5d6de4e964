import type { LogState, Subjects } from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import { type ConsumerAPI, type JetStreamManager, jetstreamManager } from "@nats-io/jetstream";
import type { HeaderEntries } from "./bus.ts";
import type { AppendOutcome, DurableLog, LoggedPublication, Outcome, ReadOutcome, ReadRequest } from "./durable-log.ts";
import { askingLeaders } from "./leader-requests.ts";
import { LogAppender } from "./log-append.ts";
import { fromStored } from "./log-page.ts";
import { LogReader } from "./log-reader.ts";
import { LogStream } from "./log-stream.ts";
import type { NatsBus } from "./nats.ts";
import type { LogConfig } from "./settings.ts";
import { StreamWatch } from "./stream-watch.ts";

/** JetStream answers at once or not at all: its leader died. */
const REQUEST_TIMEOUT_MS = 2_000;
const CONSUMER_TIMEOUT_MS = 1_000;

type LogParts = {
  readonly bus: NatsBus;
  readonly subjects: Subjects;
  /** Limits of the stream, when it is we who create it. */
  readonly config: LogConfig;
  readonly log: Log;
};

/** The log on the bus's connection. Nothing is asked of JetStream before the first use. */
export async function openJetStreamLog(parts: LogParts): Promise<JetStreamLog> {
  const connection = askingLeaders(parts.bus);
  const jsm = await jetstreamManager(connection, { checkAPI: false, timeout: REQUEST_TIMEOUT_MS });
  const impatient = await jetstreamManager(connection, { checkAPI: false, timeout: CONSUMER_TIMEOUT_MS });
  return new JetStreamLog(parts, jsm, impatient.consumers);
}

export class JetStreamLog implements DurableLog {
  readonly #watch: StreamWatch;
  readonly #appender: LogAppender;
  readonly #reader: LogReader;
  readonly #subjects: Subjects;

  constructor({ bus, subjects, config, log }: LogParts, jsm: JetStreamManager, consumers: ConsumerAPI) {
    this.#subjects = subjects;
    this.#watch = new StreamWatch(new LogStream(jsm, subjects, config, log), () => bus.disconnects);
    this.#appender = new LogAppender(bus, this.#watch, subjects.logStream);
    this.#reader = new LogReader({ bus, jsm, consumers, watch: this.#watch, subjects });
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

  async find(sequence: number): Promise<Outcome<{ readonly publication: LoggedPublication | undefined }>> {
    // Sequences begin with 1; the server refuses to look for another.
    if (sequence < 1) return { ok: true, publication: undefined };
    const answer = await this.#reader.get({ seq: sequence });
    if (!answer.ok) return answer;
    return { ok: true, publication: answer.result === null ? undefined : fromStored(answer.result, this.#subjects) };
  }

  count(subject: string): Promise<Outcome<{ readonly count: number }>> {
    return this.#reader.count(subject);
  }

  state(): Promise<Outcome<{ readonly log: LogState }>> {
    return this.#reader.state();
  }

  stop(): void {
    this.#appender.stop();
  }
}
