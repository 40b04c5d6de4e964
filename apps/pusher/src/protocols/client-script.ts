import type { HttpRequest, HttpResponse } from "uWebSockets.js";
import { ClientScript, type ClientScriptAnswer, clientScriptPaths, type Log } from "@fanwire/service";
import type { UwsApp } from "./uws-app.ts";

const STATUS = { 200: "200 OK", 304: "304 Not Modified" } as const;

/**
 * Serves the client for browsers to pages without a build. WebSockets on the same paths are left to the raw protocol.
 */
export function openClientScript({ app }: UwsApp, log: Log): void {
  const script = new ClientScript();
  for (const path of clientScriptPaths) {
    // Not `get`, which would take upgrades from the route of WebSockets.
    app.any(path, (response, request) => {
      const method = request.getMethod();
      if (method !== "get" && method !== "head") request.setYield(true);
      else void answer(response, requestOf(path, request), { hasBody: method === "get" });
    });
  }

  async function answer(
    response: HttpResponse,
    request: Parameters<ClientScript["answer"]>[0],
    options: { readonly hasBody: boolean },
  ): Promise<void> {
    let isAborted = false;
    response.onAborted(() => {
      isAborted = true;
    });
    try {
      const found = await script.answer(request);
      if (!isAborted) response.cork(() => send(response, found, options));
    } catch (error) {
      log.error({ err: error }, "client for browsers unavailable");
      if (!isAborted) response.cork(() => sendFailure(response));
    }
  }
}

function requestOf(path: (typeof clientScriptPaths)[number], request: HttpRequest) {
  return {
    path,
    ifNoneMatch: request.getHeader("if-none-match"),
    acceptEncoding: request.getHeader("accept-encoding"),
  };
}

function send(
  response: HttpResponse,
  { status, headers, body, contentLength }: ClientScriptAnswer,
  { hasBody }: { readonly hasBody: boolean },
): void {
  response.writeStatus(STATUS[status]);
  for (const [name, value] of headers) response.writeHeader(name, value);
  // Closes the connection, because one that sends requests and reads no answer would fill memory.
  // Without a length, uWebSockets.js would write 2^63 and leave the response open.
  if (body === undefined || !hasBody) response.endWithoutBody(contentLength, true);
  else response.end(body, true);
}

function sendFailure(response: HttpResponse): void {
  const error = {
    code: "client_unavailable",
    message: "the client cannot be read: the log of this pusher has the reason",
  };
  response
    .writeStatus("503 Service Unavailable")
    .writeHeader("Content-Type", "application/json")
    .writeHeader("Access-Control-Allow-Origin", "*")
    .end(`${JSON.stringify({ error })}\n`, true);
}
