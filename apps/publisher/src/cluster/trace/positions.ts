import type { History } from "@fanwire/bus";
import { formatPosition } from "@fanwire/protocol";

/** The positions of stored publications, of which a message has only the sequence. */
export class Positions {
  readonly #history: Pick<History, "epoch" | "state">;
  #lastSequence = 0;
  /** Whether a sequence was received since the history was described. */
  #isUsed = true;
  /** Whether a sequence was not higher than the one before, so that the history may have been recreated. */
  #isDoubtful = false;

  constructor(history: Pick<History, "epoch" | "state">) {
    this.#history = history;
  }

  /** Returns undefined while the epoch is not known for sure. */
  of(sequence: number): string | undefined {
    this.#isUsed = true;
    if (sequence <= this.#lastSequence) this.#isDoubtful = true;
    this.#lastSequence = sequence;
    const { epoch } = this.#history;
    return epoch === undefined || this.#isDoubtful ? undefined : formatPosition({ epoch, sequence });
  }

  /** Reads the epoch if it is needed. Must be called once a second. */
  async refresh(): Promise<void> {
    if (!this.#isUsed) return;
    this.#isUsed = false;
    const state = await this.#history.state();
    if (state.ok) this.#isDoubtful = false;
  }
}
