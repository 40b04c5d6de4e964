import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import type { WebhookRequest } from "./endpoint.ts";

/** Maximum time for a whole POST. */
const TIMEOUT_MS = 5_000;
/** A longer answer is cut off. Nobody reads it. */
const MAX_ANSWER_BYTES = 65_536;
const MAX_SOCKETS = 16;

export type PostOutcome = { readonly ok: true } | { readonly ok: false; readonly reason: string };

type Attempt = PostOutcome & {
  /** Whether the receiver had closed a kept connection before the request reached it. */
  readonly isStale?: boolean;
};
type Agents = { readonly http: HttpAgent; readonly https: HttpsAgent };

export type Poster = {
  post(url: URL, request: WebhookRequest): Promise<PostOutcome>;
  stop(): void;
};

/**
 * Returns a client that posts webhooks. Uses `node:http`, because `fetch` sends the names of headers in lower case, and receivers in
 * PHP look for `X-Pusher-Key`. Redirects are not followed.
 */
export function createPoster(): Poster {
  const options = { keepAlive: true, maxSockets: MAX_SOCKETS, maxFreeSockets: MAX_SOCKETS, timeout: 30_000 };
  const agents = { http: new HttpAgent(options), https: new HttpsAgent(options) };
  return {
    post: async (url, webhook) => {
      const attempt = await post(url, webhook, agents);
      return attempt.isStale ? post(url, webhook, agents) : attempt;
    },
    stop: () => {
      agents.http.destroy();
      agents.https.destroy();
    },
  };
}

function post(url: URL, { headers, body }: WebhookRequest, agents: Agents): Promise<Attempt> {
  const isSecure = url.protocol === "https:";
  return new Promise((resolve) => {
    const content = Buffer.from(body);
    const sent = (isSecure ? httpsRequest : httpRequest)(url, {
      method: "POST",
      agent: isSecure ? agents.https : agents.http,
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
