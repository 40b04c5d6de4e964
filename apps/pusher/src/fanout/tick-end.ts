/** Calls back once when the turn of the event loop ends in which it was asked to, however often it was asked. */
export class TickEnd {
  readonly #onEnd: () => void;
  readonly #end = () => {
    this.#isDue = false;
    this.#onEnd();
  };
  #isDue = false;

  constructor(onEnd: () => void) {
    this.#onEnd = onEnd;
  }

  ask(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    setImmediate(this.#end);
  }
}
