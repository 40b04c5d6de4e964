/** One event of a stream of server-sent events. */
export type StreamEvent = { readonly event: string; readonly data: string };

/** Maximum characters of one event. A longer one is not of the publisher, and would grow without end. */
const MAX_EVENT = 1_048_576;

/**
 * Splits text that arrives in pieces into events, as the HTML standard describes it. Ids and retries are not needed.
 */
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

/** The publisher sends a comment every 5 s. After this time without any bytes the connection is lost. */
const SILENCE_MS = 15_000;

/**
 * Calls `onEvent` for each event until the stream ends, or brings nothing for too long. Rejects when the connection is
 * lost.
 */
export async function readEvents(
  stream: ReadableStream<Uint8Array>,
  onEvent: (event: StreamEvent) => void,
  silenceMs = SILENCE_MS,
): Promise<void> {
  const parser = new EventParser();
  const decoder = new TextDecoder();
  const reader = stream.getReader();
  // The connection must not stay open, because a publisher has few traces.
  const cancel = () => void reader.cancel().catch(() => {});
  try {
    for (;;) {
      const timer = setTimeout(cancel, silenceMs);
      const { done, value } = await reader.read().finally(() => clearTimeout(timer));
      if (done) return;
      for (const event of parser.push(decoder.decode(value, { stream: true }))) onEvent(event);
    }
  } finally {
    cancel();
  }
}
