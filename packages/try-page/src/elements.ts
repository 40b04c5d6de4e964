/** Returns the element with this id. @throws when the page has none, or another kind. */
export function element<Kind extends HTMLElement>(id: string, kind: new () => Kind): Kind {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page has no ${kind.name} #${id}`);
  return found;
}

export const field = (id: string): HTMLInputElement => element(id, HTMLInputElement);
export const button = (id: string): HTMLButtonElement => element(id, HTMLButtonElement);

/** Creates an element of text and elements. Text is never parsed as markup. */
export function make(tag: string, className: string, ...content: (string | Node)[]): HTMLElement {
  const made = document.createElement(tag);
  made.className = className;
  made.append(...content);
  return made;
}

/** Prepends an entry, and removes the oldest ones beyond a maximum. */
export function prepend(list: HTMLElement, entry: HTMLElement, mostEntries: number): void {
  list.prepend(entry);
  while (list.childElementCount > mostEntries) list.lastElementChild?.remove();
}

/** Returns the local time of day with milliseconds. */
export function timeOfDay(): string {
  const now = new Date();
  return `${now.toLocaleTimeString("en-GB")}.${String(now.getMilliseconds()).padStart(3, "0")}`;
}
