import type { Publication } from "@fanwire/client";
import { button, element, make, prepend, timeOfDay } from "./elements.ts";

const MAX_ROWS = 500;

const rows = element("publications", HTMLElement);
const count = element("count", HTMLElement);
let received = 0;

button("clear").addEventListener("click", () => {
  rows.replaceChildren();
  received = 0;
  count.textContent = "0";
});

export function showPublication(publication: Publication): void {
  const { topic, subscription, event, data, position, recovered } = publication;
  const time = make("td", "time", make("time", "", timeOfDay()));
  if (recovered) time.append(make("b", "badge", "recovered"));
  const target = make("td", "topic", topic ?? make("i", "", "no topic"));
  if (subscription !== undefined) target.append(make("small", "", `by ${subscription}`));
  const row = make(
    "tr",
    recovered ? "recovered" : "",
    time,
    target,
    make("td", "event", event),
    make("td", "data", typeof data === "string" ? data : hexadecimal(data)),
    make("td", "position", position ?? "–"),
  );
  prepend(rows, row, MAX_ROWS);
  received++;
  count.textContent = String(received);
}

function hexadecimal(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
}
