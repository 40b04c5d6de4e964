import { openEvents } from "./event-stream.ts";

type TracedEvents = readonly Readonly<Record<string, unknown>>[];

export type OpenTrace = Awaited<ReturnType<typeof openTrace>>;

/** Opens a live trace of a publisher. Rejects with the status unless it is 200. */
export async function openTrace(url: string, query: Readonly<Record<string, string>> = {}) {
  const stream = await openEvents(`${url}/v1/trace?${new URLSearchParams(query)}`);
  return {
    ...stream,
    /** Events of one kind so far, without their times. */
    of: (kind: string): TracedEvents =>
      stream
        .events()
        .filter(({ event }) => event === kind)
        .map(({ data }) => {
          const { at: _, ...event } = JSON.parse(data);
          return event;
        }),
  };
}
