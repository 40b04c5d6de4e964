import type { Bus } from "@fanwire/bus";

/** An answer of JetStream about a stream: the members that tests read, as its documentation has them. */
export type StreamAnswer = {
  readonly error?: { readonly description: string };
  readonly config?: Readonly<Record<string, unknown>> & { readonly description?: string };
  readonly state?: {
    readonly messages: number;
    readonly first_seq: number;
    readonly last_seq: number;
    readonly deleted?: readonly number[];
    readonly consumer_count: number;
  };
  readonly cluster?: { readonly leader?: string; readonly replicas?: readonly { readonly current: boolean }[] };
};

/** Sends a request such as `INFO.FANWIRE_HISTORY` to JetStream, without code of the history. */
export async function askStream(bus: Bus, request: string, body: object = {}): Promise<StreamAnswer> {
  const content = Buffer.from(JSON.stringify(body));
  const outcome = await bus.request(`$JS.API.STREAM.${request}`, content, { timeoutMs: 5_000 });
  if (!outcome.ok) throw new Error(outcome.reason);
  return JSON.parse(Buffer.from(outcome.message.data).toString());
}

/** Changes the configuration of a stream, as `nats stream edit` does. */
export async function editStream(bus: Bus, stream: string, change: object): Promise<void> {
  const { config } = await askStream(bus, `INFO.${stream}`);
  const { error } = await askStream(bus, `UPDATE.${stream}`, { ...config, ...change });
  if (error !== undefined) throw new Error(error.description);
}
