/** Maximum leaves that one call ends, so that its tick is not long. */
const MAX_AT_ONCE = 10_000;

type Held<View> = { readonly view: View; readonly user: string; readonly until: number };

/** Users who have left and are still shown as members. All are held equally long, so the oldest comes first. */
export class HeldLeaves<View extends { endHold(user: string): void }> {
  readonly #leaveMs: number;
  #held: Held<View>[] = [];
  #at = 0;

  constructor(leaveMs: number) {
    this.#leaveMs = leaveMs;
  }

  hold(view: View, user: string): void {
    this.#held.push({ view, user, until: performance.now() + this.#leaveMs });
  }

  /** Ends the holds whose time is over. Must be called regularly. */
  endExpired(): void {
    const now = performance.now();
    for (let count = 0; count < MAX_AT_ONCE; count++) {
      const held = this.#held[this.#at];
      if (held === undefined || held.until > now) break;
      this.#at++;
      held.view.endHold(held.user);
    }
    // The array shrinks only when half of it is over, because shifting each entry would move all others.
    if (this.#at * 2 < this.#held.length) return;
    this.#held = this.#held.slice(this.#at);
    this.#at = 0;
  }
}
