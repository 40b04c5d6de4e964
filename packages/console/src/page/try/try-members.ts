import type { Client, Presence } from "@fanwire/client";
import { signal } from "@preact/signals";

type Shown = {
  readonly topic: string;
  readonly count: number;
  readonly isComplete: boolean;
  readonly members: readonly (readonly [user: string, info: unknown])[];
};

/** Above this, the page shows the count and the first names. */
const MAX_SHOWN = 100;

/** The members of one topic where the user of the token is present. */
export class TryMembers {
  readonly #report: (kind: string, text: string) => void;
  #client: Client | undefined;
  #presence: Presence | undefined;
  readonly shown = signal<Shown | undefined>(undefined);

  constructor(report: (kind: string, text: string) => void) {
    this.#report = report;
  }

  /** Must be called with each new client, which is present nowhere. */
  use(client: Client): void {
    this.#client = client;
    this.#presence = undefined;
    this.#show();
  }

  enter(topic: string): void {
    this.leave();
    const presence = this.#client?.presence(topic);
    if (presence === undefined) {
      this.#report("refused", "connect before you enter a topic");
      return;
    }
    this.#presence = presence;
    presence.on("change", ({ joined, left }) => {
      for (const { user } of joined) this.#report("joined", `${topic}: ${user}`);
      for (const user of left) this.#report("left", `${topic}: ${user}`);
      this.#show();
    });
    presence.on("end", ({ message }) => {
      this.#report("refused", `${topic}: ${message}`);
      if (this.#presence === presence) this.#presence = undefined;
      this.#show();
    });
    // Ends of a closed client are no news.
    presence.subscribed.catch(() => {});
    this.#show();
  }

  leave(): void {
    this.#presence?.leave().catch((error: Error) => this.#report("refused", error.message));
    this.#presence = undefined;
    this.#show();
  }

  #show(): void {
    const presence = this.#presence;
    this.shown.value = presence && {
      topic: presence.topic,
      count: presence.count,
      isComplete: presence.isComplete,
      members: [...presence.members].slice(0, MAX_SHOWN),
    };
  }
}
