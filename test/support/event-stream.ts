import { get, type IncomingMessage } from "node:http";
import { type RequestOptions, get as secureGet } from "node:https";
import { closeAfterTest } from "./open-clients.ts";
import { until } from "./wait.ts";

type StreamEvent = { readonly id?: string; readonly event?: string; readonly data: string };

export type EventStream = Awaited<ReturnType<typeof readEvents>>;

/** Reads server-sent events. Resolves with the first event or the end of a 200, and rejects with any other status. */
export async function readEvents(url: string, headers: Record<string, string> = {}, options: RequestOptions = {}) {
  const stream = await openEvents(url, headers, options);
  await until("the first event", () => stream.hasEnded() || stream.events().length > 0);
  return {
    ...stream,
    /** Data of the events after the welcome. */
    data: () => {
      const [, ...publications] = stream.events();
      return publications.map(({ data }) => data);
    },
    /** Address of the connection, from the welcome. */
    address: (): string => JSON.parse(stream.events()[0]?.data ?? "").connection,
  };
}

/** Like {@link readEvents}, for streams without a welcome. Resolves with the head of the response. */
export async function openEvents(url: string, headers: Record<string, string> = {}, options: RequestOptions = {}) {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const request = url.startsWith("https:") ? secureGet : get;
    request(url, { headers, ...options }, resolve).once("error", reject);
  });
  if (response.statusCode !== 200) {
    response.destroy();
    throw new Error(`answered ${response.statusCode}`);
  }
  closeAfterTest(() => response.destroy());
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
    /** All text received so far. */
    text: () => text,
    /** Complete events so far, as an EventSource reads them. */
    events: () => parseEvents(text),
    hasEnded: () => hasEnded,
    close: () => void response.destroy(),
  };
}

function parseEvents(text: string): StreamEvent[] {
  return text
    .split("\n\n")
    .slice(0, -1)
    .flatMap((block) => {
      const fields = block.split("\n").map((line): [string, string] => {
        const colon = line.indexOf(": ");
        return [line.slice(0, colon), line.slice(colon + 2)];
      });
      const data = fields.filter(([name]) => name === "data").map(([, value]) => value);
      if (data.length === 0) return []; // a comment, or only `retry:`
      const { id, event } = Object.fromEntries(fields);
      return [{ ...(id !== undefined && { id }), ...(event !== undefined && { event }), data: data.join("\n") }];
    });
}
