import type { Probe } from "./diagnosis.ts";

const TIMEOUT_MS = 3_000;
/** A longer answer is no sentence. */
const MAX_BODY = 1_000;

/** Sends a request without credentials, and reads the beginning of the answer if the browser lets the page. */
export async function probe(url: string, isReadable: boolean): Promise<Probe> {
  const stopping = new AbortController();
  const timer = setTimeout(() => stopping.abort(), TIMEOUT_MS);
  try {
    const response = await fetch(url, {
      mode: isReadable ? "cors" : "no-cors",
      credentials: "omit",
      cache: "no-store",
      signal: stopping.signal,
    });
    if (response.type === "opaque") return { outcome: "opaque" };
    const type = response.headers.get("content-type") ?? "";
    return { outcome: "readable", status: response.status, type, body: await beginning(response) };
  } catch {
    return { outcome: isReadable ? "opaque" : "nothing" };
  } finally {
    clearTimeout(timer);
    stopping.abort();
  }
}

/** An event stream does not end, so its first piece counts. */
async function beginning(response: Response): Promise<string> {
  const reader = response.body?.getReader();
  const { value } = (await reader?.read()) ?? {};
  return new TextDecoder().decode(value).slice(0, MAX_BODY);
}
