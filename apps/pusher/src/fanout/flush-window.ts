/** So many are not gathered any longer, however long the window is. */
const MAX_GATHERED = 1_000;

/** Gathers what comes within `windowMs` of the first, to hand it on together; 0: hands on at once. */
export class FlushWindow<Entry> {
  readonly #windowMs: number;
  readonly #handOn: (entry: Entry) => void;
  #gathered: Entry[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(windowMs: number, handOn: (entry: Entry) => void) {
    this.#windowMs = windowMs;
    this.#handOn = handOn;
  }

  push(entry: Entry): void {
    if (this.#windowMs === 0) {
      this.#handOn(entry);
      return;
    }
    this.#gathered.push(entry);
    if (this.#gathered.length >= MAX_GATHERED) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), this.#windowMs);
  }

  /** Hands on what was gathered, in the order in which it came. */
  flush(): void {
    if (this.#gathered.length === 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const gathered = this.#gathered;
    this.#gathered = [];
    for (const entry of gathered) this.#handOn(entry);
  }
}
