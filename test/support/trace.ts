import { get, type IncomingMessage } from "node:http";

type TracedEvents = readonly Readonly<Record<string, unknown>>[];

export type OpenTrace = {
  readonly response: IncomingMessage;
  /** Events of one kind so far, without their times. */
  of(kind: string): TracedEvents;
  hasEnded(): boolean;
  close(): void;
};

/** Opens a live trace of a publisher. Rejects with the status unless it is 200. */
export async function openTrace(url: string, query: Readonly<Record<string, string>> = {}): Promise<OpenTrace> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    get(`${url}/v1/trace?${new URLSearchParams(query)}`, resolve).once("error", reject);
  });
  if (response.statusCode !== 200) {
    response.destroy();
    throw new Error(`answered ${response.statusCode}`);
  }
  let text = "";
  let hasEnded = false;
  response.setEncoding("utf8");
  response.on("data", (chunk: string) => {
    text += chunk;
  });
  response.on("error", () => {});
  response.on("close", () => {
    hasEnded = true;
  });
  return {
    response,
    of: (kind) => parse(text, kind),
    hasEnded: () => hasEnded,
    close: () => void response.destroy(),
  };
}

function parse(text: string, kind: string): TracedEvents {
  const head = `event: ${kind}\ndata: `;
  return text
    .split("\n\n")
    .slice(0, -1)
    .flatMap((block) => {
      if (!block.startsWith(head)) return [];
      const { at: _, ...event } = JSON.parse(block.slice(head.length));
      return [event];
    });
}
