import type { Client, FanwireError } from "@fanwire/client";
import { element, field, make } from "./elements.ts";
import { addLine } from "./state-view.ts";

const form = element("subscribe-form", HTMLFormElement);
const input = field("subscribe-topic");
const list = element("topics", HTMLElement);

/** The list of subscriptions. It outlives a client, so that the next client has the same subscriptions. */
export class TopicsView {
  readonly #topics = new Map<string, HTMLElement>();
  #client: Client | undefined;

  constructor(names: readonly string[]) {
    for (const name of names) this.#add(name);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#add(input.value);
      input.value = "";
    });
  }

  names(): string[] {
    return [...this.#topics.keys()];
  }

  use(client: Client | undefined): void {
    this.#client = client;
  }

  refused(name: string, error: FanwireError): void {
    this.#topics.get(name)?.remove();
    this.#topics.delete(name);
    addLine("refused", `${name}: ${error.message}`);
  }

  #add(name: string): void {
    if (this.#topics.has(name)) return;
    const remove = make("button", "", "×");
    remove.setAttribute("aria-label", `Unsubscribe from ${name}`);
    remove.addEventListener("click", () => this.#remove(name));
    const entry = make("li", "", make("code", "", name), remove);
    this.#topics.set(name, entry);
    list.append(entry);
    this.#client?.subscribe(name).catch((error: FanwireError) => {
      if (error.code !== "closed") this.refused(name, error);
    });
  }

  #remove(name: string): void {
    this.#topics.get(name)?.remove();
    this.#topics.delete(name);
    this.#client?.unsubscribe(name).catch((error: FanwireError) => addLine("refused", `${name}: ${error.message}`));
  }
}
