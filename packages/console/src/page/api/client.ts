/** Reason why a request has no answer. `status` is undefined if there was no response. */
export type ApiFailure = {
  readonly ok: false;
  readonly status: number | undefined;
  readonly code: string;
  readonly message: string;
};
export type ApiResult<Value> = { readonly ok: true; readonly value: Value } | ApiFailure;

export type Query = Readonly<Record<string, string | number | undefined>>;

type Method = "GET" | "POST" | "PUT" | "DELETE";
type Sent = { readonly query?: Query; readonly body?: unknown; readonly signal?: AbortSignal | undefined };

/** Longer than the publisher waits for workers. */
const TIMEOUT_MS = 20_000;

/**
 * Sends requests to the publisher that serves the page. Paths are relative, because a proxy may serve it below another
 * path.
 */
export class ApiClient {
  readonly #key: () => string | undefined;
  readonly #onUnauthorized: () => void;

  constructor(options: { readonly key: () => string | undefined; onUnauthorized(): void }) {
    this.#key = options.key;
    this.#onUnauthorized = options.onUnauthorized;
  }

  get<Value>(path: string, query: Query = {}, signal?: AbortSignal): Promise<ApiResult<Value>> {
    return this.send<Value>("GET", path, { query, signal });
  }

  /** Never rejects. An answer without a body is `null`. */
  async send<Value>(method: Method, path: string, { query, body, signal }: Sent = {}): Promise<ApiResult<Value>> {
    const limit = AbortSignal.timeout(TIMEOUT_MS);
    try {
      const response = await fetch(urlOf(path, query), {
        method,
        headers: this.headers(body === undefined ? {} : { "Content-Type": "application/json" }),
        ...(body !== undefined && { body: JSON.stringify(body) }),
        signal: signal === undefined ? limit : AbortSignal.any([signal, limit]),
      });
      const text = await response.text();
      if (response.ok) return { ok: true, value: (text === "" ? null : JSON.parse(text)) as Value };
      if (response.status === 401) this.#onUnauthorized();
      return failureFrom(response.status, text);
    } catch (error) {
      return unanswered(error, limit.aborted);
    }
  }

  /** Opens a stream of server-sent events. Not an EventSource, which cannot send a key. */
  async stream(path: string, query: Query, signal: AbortSignal): Promise<ApiResult<ReadableStream<Uint8Array>>> {
    try {
      const response = await fetch(urlOf(path, query), {
        headers: this.headers({ Accept: "text/event-stream" }),
        signal,
      });
      if (response.ok && response.body !== null) return { ok: true, value: response.body };
      if (response.status === 401) this.#onUnauthorized();
      return failureFrom(response.status, await response.text());
    } catch (error) {
      return unanswered(error, false);
    }
  }

  headers(others: Record<string, string>): Record<string, string> {
    const key = this.#key();
    return key === undefined ? others : { ...others, Authorization: `Bearer ${key}` };
  }
}

/** Returns the path with the parameters that have a value. */
function urlOf(path: string, query: Query = {}): string {
  const given = Object.entries(query).flatMap(([name, value]) =>
    value === undefined || value === "" ? [] : [[name, String(value)]],
  );
  return given.length === 0 ? path : `${path}?${new URLSearchParams(given)}`;
}

function failureFrom(status: number, text: string): ApiFailure {
  try {
    const { error } = JSON.parse(text) as { error: { code: string; message: string; details?: { message: string }[] } };
    const details = error.details?.map(({ message }) => message) ?? [];
    return { ok: false, status, code: error.code, message: [error.message, ...details].join(" ") };
  } catch {
    // A proxy answered.
    return {
      ok: false,
      status,
      code: "unknown",
      message: `The answer has status ${status} and is not of the publisher.`,
    };
  }
}

function unanswered(error: unknown, isTimeout: boolean): ApiFailure {
  const message = isTimeout ? "The publisher did not answer in time." : "The publisher cannot be reached.";
  const isAborted = !isTimeout && error instanceof DOMException && error.name === "AbortError";
  return { ok: false, status: undefined, code: isAborted ? "aborted" : "unreachable", message };
}
