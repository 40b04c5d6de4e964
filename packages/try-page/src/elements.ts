/** Returns the element with this id. @throws if the page has no such element of this kind. */
export function element<Kind extends HTMLElement>(id: string, kind: new () => Kind): Kind {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page has no ${kind.name} #${id}`);
  return found;
}

export const field = (id: string): HTMLInputElement => element(id, HTMLInputElement);
export const button = (id: string): HTMLButtonElement => element(id, HTMLButtonElement);

/** Creates an element with `content`. Text is never parsed as markup. */
export function make(tag: string, className: string, ...content: (string | Node)[]): HTMLElement {
  const made = document.createElement(tag);
  made.className = className;
  made.append(...content);
  return made;
}

/** Adds `entry` on top, and removes entries over the maximum. */
export function prepend(list: HTMLElement, entry: HTMLElement, maxEntries: number): void {
  list.prepend(entry);
  while (list.childElementCount > maxEntries) list.lastElementChild?.remove();
}

/** Returns the local time to the millisecond. */
export function timeOfDay(): string {
  const now = new Date();
  return `${now.toLocaleTimeString("en-GB")}.${String(now.getMilliseconds()).padStart(3, "0")}`;
}
