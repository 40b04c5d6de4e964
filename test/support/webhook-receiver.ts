import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

type ReceivedWebhook = {
  readonly path: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** The events in the body. */
  readonly events: readonly Readonly<Record<string, unknown>>[];
  /** Milliseconds of the monotonic clock. */
  readonly at: number;
  readonly status: number;
};

export type WebhookReceiver = AsyncDisposable & {
  readonly url: string;
  readonly received: ReceivedWebhook[];
  /** Events of the requests that were answered with 2xx, in order of arrival. */
  events(): Readonly<Record<string, unknown>>[];
  /** Decides the status of an answer; 0: no answer. */
  respond: (webhook: Omit<ReceivedWebhook, "status">) => number;
};

/** Starts a server for webhooks, which answers 200. */
export async function startWebhookReceiver(): Promise<WebhookReceiver> {
  const received: ReceivedWebhook[] = [];
  const server = createServer((request, response) => void answer(request, response));
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    let body = "";
    for await (const chunk of request) body += String(chunk);
    const headers = request.headers as Record<string, string>; // none is repeated
    const parsed = JSON.parse(body) as Pick<ReceivedWebhook, "events">; // checked by the tests
    const webhook = { path: request.url ?? "", headers, body, events: parsed.events, at: performance.now() };
    const status = receiver.respond(webhook);
    received.push({ ...webhook, status });
    if (status > 0) response.writeHead(status).end("ok");
  };
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const receiver: WebhookReceiver = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`, // a TCP server has an AddressInfo
    received,
    events: () => received.filter(({ status }) => status >= 200 && status < 300).flatMap(({ events }) => events),
    respond: () => 200,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return receiver;
}
