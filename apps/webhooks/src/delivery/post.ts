import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import type { WebhookRequest } from "./endpoint.ts";

/** Maximum time for a whole POST. */
const TIMEOUT_MS = 5_000;
/** A longer answer is cut off, because the sender does not use it. */
const MAX_ANSWER_BYTES = 65_536;

export type PostOutcome = { readonly ok: true } | { readonly ok: false; readonly reason: string };

type Attempt = PostOutcome & {
  /** Whether the receiver had closed a kept connection before the request reached it. */
  readonly isStale?: boolean;
};

export type Poster = {
  post(request: WebhookRequest): Promise<PostOutcome>;
  stop(): void;
};

/**
 * Returns a client that posts webhooks to one endpoint. Its connections are its own, so that it never waits for other
 * endpoints of the same host. Uses `node:http`, because `fetch` sends the names of headers in lower case, and receivers
 * in PHP look for `X-Pusher-Key`. Redirects are not followed.
 */
export function createPoster(url: URL, maxSockets: number): Poster {
  const options = { keepAlive: true, maxSockets, maxFreeSockets: maxSockets, timeout: 30_000 };
  const agent = url.protocol === "https:" ? new HttpsAgent(options) : new HttpAgent(options);
  return {
    post: async (webhook) => {
      const attempt = await post(url, webhook, agent);
      return attempt.isStale ? post(url, webhook, agent) : attempt;
    },
    stop: () => agent.destroy(),
  };
}

function post(url: URL, { headers, body }: WebhookRequest, agent: HttpAgent): Promise<Attempt> {
  return new Promise((resolve) => {
    const content = Buffer.from(body);
    const sent = (url.protocol === "https:" ? httpsRequest : httpRequest)(url, {
      method: "POST",
      agent,
      headers: { ...headers, "Content-Length": content.length },
    });
    const timer = setTimeout(() => sent.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)), TIMEOUT_MS);
    sent.on("response", (response) => {
      const status = response.statusCode ?? 0;
      resolve(status >= 200 && status < 300 ? { ok: true } : { ok: false, reason: `status ${status}` });
      discard(response, () => sent.destroy());
    });
    sent.on("error", (error: NodeJS.ErrnoException) => {
      resolve({ ok: false, reason: error.message, isStale: sent.reusedSocket && error.code === "ECONNRESET" });
    });
    sent.on("close", () => {
      clearTimeout(timer);
      resolve({ ok: false, reason: "connection closed" });
    });
    sent.end(content);
  });
}

/** Reads the answer to its end, so that the connection can be used again. */
function discard(response: IncomingMessage, cutOff: () => void): void {
  let bytes = 0;
  response.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > MAX_ANSWER_BYTES) cutOff();
  });
  response.on("error", () => {});
}
