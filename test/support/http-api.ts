/** Sends a request to the HTTP API. Returns the status and the parsed body, which is undefined if it is empty. */
export async function callApi<Body = unknown>(
  { url }: { readonly url: string },
  method: string,
  path: string,
  body?: unknown,
): Promise<{ status: number; body: Body }> {
  const response = await fetch(url + path, {
    method,
    ...(body !== undefined && { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
  });
  const text = await response.text();
  return { status: response.status, body: text === "" ? undefined : JSON.parse(text) };
}

/** Publishes by `POST /v1/publications`. */
export function postPublication<Body = unknown>(publisher: { readonly url: string }, publication: unknown) {
  return callApi<Body>(publisher, "POST", "/v1/publications", publication);
}

/** Returns the status of an answer, or 0 while nothing answers. */
export async function statusOf(url: string): Promise<number> {
  try {
    return (await fetch(url)).status;
  } catch {
    return 0;
  }
}
