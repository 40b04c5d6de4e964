import type { ClientState } from "@fanwire/client";
import { element, make, prepend, timeOfDay } from "./elements.ts";

const MAX_LINES = 200;

const RECOVERED = {
  true: "recovered: true, no durable publication is missing",
  false: "recovered: false, durable publications may be missing",
  null: "recovered: null, there was no position to resume from",
};

const state = element("state", HTMLElement);
const address = element("address", HTMLElement);
const recovered = element("recovered", HTMLElement);
const position = element("position", HTMLElement);
const log = element("log", HTMLElement);

/** Shows the client's state in the header, its details, and a line in the list of states. */
export function showState(next: ClientState): void {
  state.textContent = next.state;
  state.dataset.state = next.state;
  if (next.state === "open") {
    address.textContent = next.address;
    recovered.textContent = String(next.recovered);
  } else {
    address.textContent = "–";
  }
  addLine(next.state, describe(next));
}

export function showPosition(text: string): void {
  position.textContent = text;
}

export function addLine(kind: string, text: string): void {
  const line = make("li", kind, make("time", "", timeOfDay()), make("b", "", kind), make("span", "", text));
  prepend(log, line, MAX_LINES);
}

function describe(next: ClientState): string {
  if (next.state === "connecting") return "";
  if (next.state === "open") return `as ${next.address}; ${RECOVERED[`${next.recovered}`]}`;
  const why = `${next.code}${next.reason === "" ? "" : ` ${next.reason}`}`;
  return next.state === "closed" ? why : `${why}; retry in ${(next.retryInMs / 1_000).toFixed(1)} s`;
}
