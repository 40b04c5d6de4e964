import type { History, StoredPlace } from "@fanwire/bus";
import type { Subjects } from "@fanwire/protocol";

/** Maximum number of arrivals that are noted. Those in the order of the history come first, so the lowest is among them. */
const MAX_NOTED = 1_000;
/** Maximum difference between the clocks of this worker and of NATS, with the time for which a publication travels. */
const MAX_CLOCK_DIFFERENCE_MS = 60_000;

type EarlyParts = { readonly history: Pick<History, "read">; readonly subjects: Subjects };
type Noted = StoredPlace & { readonly arrivedAt: number };

/**
 * The places in the history that arrivals named before this worker had read the history. Any publisher can forge
 * one, so the worker compares each with the history.
 */
export class EarlyArrivals {
  readonly #parts: EarlyParts;
  #noted: Noted[] = [];

  constructor(parts: EarlyParts) {
    this.#parts = parts;
  }

  get isEmpty(): boolean {
    return this.#noted.length === 0;
  }

  note({ sequence, subject }: StoredPlace): void {
    if (this.#noted.length < MAX_NOTED) this.#noted.push({ sequence, subject, arrivedAt: Date.now() });
  }

  /**
   * Returns the lowest true sequence of the arrivals up to the end of the history; `Infinity` without one, undefined if
   * the history cannot be read now.
   */
  async lowest(end: number): Promise<number | undefined> {
    for (;;) {
      const first = this.#noted.reduce<Noted | undefined>(
        (least, each) => (each.sequence <= (least?.sequence ?? end) ? each : least),
        undefined,
      );
      if (first === undefined) return Number.POSITIVE_INFINITY;
      const isTrue = await this.#isTrue(first);
      if (isTrue === undefined) return undefined;
      if (isTrue) return first.sequence;
      this.#noted = this.#noted.filter((each) => each !== first);
    }
  }

  /**
   * Whether the history holds the publication. If the history has dropped it since, the next publication must be new.
   * So a forged place cannot make a worker deliver the whole history.
   */
  async #isTrue({ sequence, subject, arrivedAt }: Noted): Promise<boolean | undefined> {
    const { history, subjects } = this.#parts;
    const request = { filter: subjects.allHistory, after: sequence - 1, limit: 1, withoutContent: true };
    const page = await history.read(request);
    if (!page.ok) return undefined;
    const [stored] = page.publications;
    if (stored === undefined) return true;
    const isNew = stored.time.getTime() > arrivedAt - MAX_CLOCK_DIFFERENCE_MS;
    return isNew && (stored.sequence > sequence || stored.subject === subject);
  }
}
