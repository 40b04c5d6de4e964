import type { Client, Presence } from "@fanwire/client";
import { button, element, field, make } from "./elements.ts";
import { addLine } from "./state-view.ts";

const form = element("members-form", HTMLFormElement);
const input = field("members-topic");
const leave = button("leave");
const count = element("members-count", HTMLElement);
const list = element("members", HTMLElement);

/** The members of one topic where the user of the token is present. */
export class MembersView {
  #client: Client | undefined;
  #presence: Presence | undefined;

  constructor() {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#enter(input.value);
    });
    leave.addEventListener("click", () => this.#leave());
  }

  /** Must be called with each new client, which is present nowhere. */
  use(client: Client): void {
    this.#client = client;
    this.#presence = undefined;
    this.#show();
  }

  #enter(topic: string): void {
    this.#leave();
    const presence = this.#client?.presence(topic);
    if (presence === undefined) {
      addLine("refused", "connect before you enter a topic");
      return;
    }
    this.#presence = presence;
    presence.on("change", ({ joined, left }) => {
      for (const { user } of joined) addLine("joined", `${topic}: ${user}`);
      for (const user of left) addLine("left", `${topic}: ${user}`);
      this.#show();
    });
    presence.on("end", ({ message }) => {
      addLine("refused", `${topic}: ${message}`);
      if (this.#presence === presence) this.#presence = undefined;
      this.#show();
    });
    this.#show();
  }

  #leave(): void {
    this.#presence?.leave().catch((error: Error) => addLine("refused", error.message));
    this.#presence = undefined;
    this.#show();
  }

  #show(): void {
    const presence = this.#presence;
    leave.disabled = presence === undefined;
    count.textContent = presence === undefined ? "" : `${presence.count} on ${presence.topic}`;
    const entries = [...(presence?.members ?? [])].map(([user, info]) => {
      const shown = info === undefined ? [] : [make("code", "", JSON.stringify(info))];
      return make("li", "", make("span", "", user), ...shown);
    });
    list.replaceChildren(...entries);
  }
}
