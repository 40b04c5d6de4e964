import { deadlineSignal } from "@fanwire/service";
import { CommandError, type Io } from "../io.ts";
import { apiUrl } from "./addresses.ts";

const TIMEOUT_MS = 15_000;

export type ApiOptions = { readonly url?: string | undefined; readonly key?: string | undefined };

/** The HTTP API of a publisher. Every method throws a CommandError that names what to do. */
export class HttpApi {
  readonly url: string;
  readonly #io: Io;
  readonly #key: string | undefined;

  constructor(io: Io, { url, key }: ApiOptions) {
    this.#io = io;
    this.url = withSlash(apiUrl(io.env, url));
    this.#key = key ?? (io.env.FANWIRE_API_KEY || firstFullKey(io.env.PUBLISHER_API_KEYS));
  }

  get(path: string): Promise<unknown> {
    return this.#fetch(path, {});
  }

  post(path: string, body: unknown): Promise<unknown> {
    const headers = { "Content-Type": "application/json" };
    return this.#fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  }

  async #fetch(path: string, init: RequestInit): Promise<unknown> {
    const headers = { ...init.headers, ...(this.#key && { Authorization: `Bearer ${this.#key}` }) };
    const signal = deadlineSignal(TIMEOUT_MS, this.#io.signal);
    let reply: Response;
    let text: string;
    try {
      reply = await fetch(new URL(path, this.url), { ...init, headers, signal });
      text = await reply.text();
    } catch (error) {
      this.#io.signal.throwIfAborted();
      throw new CommandError(unreachable(this.url, error), { cause: error });
    }
    const body = parse(text);
    if (reply.ok && body !== undefined) return body;
    throw new CommandError(body === undefined ? `${this.url} is no publisher of Fanwire.` : describeError(reply, body));
  }
}

/** A path that is resolved against a URL without the final slash would replace its last part. */
function withSlash(url: string): string {
  return url.endsWith("/") ? url : `${url}/`;
}

/** Keys that only read have a prefix. */
function firstFullKey(keys = ""): string | undefined {
  const all = keys.split(",").map((key) => key.trim());
  return all.find((key) => key !== "" && !key.startsWith("read:")) ?? all[0]?.replace(/^read:/, "");
}

function unreachable(url: string, error: unknown): string {
  const { code, message } = ((error as Error).cause ?? {}) as { code?: string; message?: string };
  if ((error as Error).name === "TimeoutError") return `${url} did not answer within ${TIMEOUT_MS / 1_000} s.`;
  return `${url} cannot be reached (${code ?? message ?? (error as Error).message}). Start a publisher, or give its URL with --url.`;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

type ErrorBody = { error?: { code?: string; message?: string; details?: { field?: string; message: string }[] } };

function describeError({ status }: Response, body: unknown): string {
  const { code, message, details = [] } = (body as ErrorBody).error ?? {};
  const hint = status === 401 ? " Give a key with --key or FANWIRE_API_KEY." : "";
  const lines = details.map((each) => `\n  ${each.field === undefined ? "" : `${each.field}: `}${each.message}`);
  return `${message ?? `status ${status}`} (${status} ${code ?? ""})${hint}${lines.join("")}`;
}
