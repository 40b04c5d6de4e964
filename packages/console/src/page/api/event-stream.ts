/** One event of a stream of server-sent events. */
export type StreamEvent = { readonly event: string; readonly data: string };

/** Maximum characters of one event. A longer one is not of the publisher, and would grow without end. */
const MAX_EVENT = 1_048_576;

/** Splits text that arrives in pieces into events, as the HTML standard describes it. Ids and retries are not needed. */
export class EventParser {
  #rest = "";
  #event = "";
  #data: string[] = [];
  #size = 0;

  /** @throws if an event is longer than the maximum. */
  push(text: string): StreamEvent[] {
    const found: StreamEvent[] = [];
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      const event = this.#take(line.endsWith("\r") ? line.slice(0, -1) : line);
      if (event !== undefined) found.push(event);
    }
    if (this.#rest.length + this.#size > MAX_EVENT) throw new Error("event too long");
    return found;
  }

  #take(line: string): StreamEvent | undefined {
    if (line === "") return this.#end();
    const colon = line.indexOf(":");
    if (colon === 0) return undefined; // a comment
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") this.#event = value;
    else if (field === "data") {
      this.#data.push(value);
      this.#size += value.length;
    }
    return undefined;
  }

  #end(): StreamEvent | undefined {
    const [event, data] = [this.#event || "message", this.#data];
    this.#event = "";
    this.#data = [];
    this.#size = 0;
    return data.length === 0 ? undefined : { event, data: data.join("\n") };
  }
}

/** Calls `onEvent` for each event until the stream ends. Rejects when the connection is lost or aborted. */
export async function readEvents(
  stream: ReadableStream<Uint8Array>,
  onEvent: (event: StreamEvent) => void,
): Promise<void> {
  const parser = new EventParser();
  const decoder = new TextDecoder();
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    for (const event of parser.push(decoder.decode(value, { stream: true }))) onEvent(event);
  }
}
