import type { SubjectLimit } from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import type { JetStreamManager, StreamInfo } from "@nats-io/jetstream";
import { afterLimit, recordedLimit, unionOf, withLimit } from "./subject-limit.ts";

/** Minimum time between two attempts to save the same record. */
const SAVE_EVERY_MS = 10_000;

/** Result of the last look at the stream. */
type Look = {
  readonly created: string;
  readonly description: string;
  /**
   * End of the stream at the first look that found this description and the present limit. A record that is not saved
   * yet must not count as a limit that was raised at each look.
   */
  readonly end: number;
  readonly known: SubjectLimit;
};

/**
 * Knows which numbers of publications per subject the stream has kept. An operator may raise the number at any
 * time. Publications that were dropped before must not count as never published afterwards. The record is in the
 * description of the stream, so that services which start later know it too.
 */
export class LimitRecord {
  readonly #jsm: JetStreamManager;
  readonly #log: Log;
  #last: Look | undefined;
  /** The last attempt to save. */
  #attempt = { created: "", description: "", at: Number.NEGATIVE_INFINITY };

  constructor(jsm: JetStreamManager, log: Log) {
    this.#jsm = jsm;
    this.#log = log;
  }

  /** Returns the present limit and the earlier ones. Saves them in the background if the stream does not have them. */
  update({ created, config, state }: StreamInfo): SubjectLimit {
    const limit = config.max_msgs_per_subject > 0 ? config.max_msgs_per_subject : Number.POSITIVE_INFINITY;
    const { description = "" } = config;
    const last = this.#last?.created === created ? this.#last : undefined;
    const isUnchanged = last?.description === description && last.known.maxPerSubject === limit;
    const end = isUnchanged ? last.end : state.last_seq;
    const recorded = afterLimit(recordedLimit(description), limit, end);
    const known = unionOf(recorded, afterLimit(last?.known, limit, state.last_seq));
    this.#last = { created, description, end, known };
    const wanted = withLimit(description, known);
    if (wanted !== description && !this.#hasTried(created, wanted)) {
      this.#attempt = { created, description: wanted, at: performance.now() };
      void this.#save(config.name, created, known);
    }
    return known;
  }

  #hasTried(created: string, description: string): boolean {
    const { at, ...last } = this.#attempt;
    return last.created === created && last.description === description && performance.now() - at < SAVE_EVERY_MS;
  }

  async #save(stream: string, created: string, known: SubjectLimit): Promise<void> {
    const { streams } = this.#jsm;
    try {
      // Read again, so that an epoch mark that was set meanwhile is kept.
      const { created: createdNow, config } = await streams.info(stream);
      if (createdNow !== created) return;
      const description = withLimit(config.description ?? "", known);
      // Another service has saved the same record. JetStream has no conditional update, and each update can undo an edit
      // that an operator makes at the same moment.
      if (description === config.description) return;
      const updated = await streams.update(stream, { description });
      if (updated.created === created) return;
      this.#log.error({ stream, config: updated.config }, "history stream was replaced meanwhile, check its limits");
    } catch (error) {
      this.#log.warn({ err: error, stream, ...known }, "limit per subject not saved in the history stream");
    }
  }
}
