import { createServer, type Server, type ServerResponse, STATUS_CODES } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { getRequestListener } from "@hono/node-server";
import type { Api } from "../app.ts";
import { type ClientError, isReplay, isReplayed, replayWithEncodedTarget } from "../compat/non-ascii-target.ts";
import { type ErrorCode, errorBody, errorEntry, parserErrorCode } from "./errors.ts";

/** The request line and the headers. The original took 16 KiB, and a query of Cyrillic is six bytes a letter. */
const MAX_HEADER_BYTES = 65_536;
/** Beyond it a newcomer is dropped at once: sockets that say nothing cost memory too. */
const MAX_SOCKETS = 10_000;
/** By itself Node looks every 30 s who is late with its request. */
const LATE_CHECK_MS = 1_000;

const SECURITY_HEADERS = Object.entries({
  // A stored answer to a GET that publishes would be a publication lost.
  "Cache-Control": "no-store",
  "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
});

export type ApiServer = {
  readonly port: number;
  /** Accepts nobody any more, lets requests in hand finish for at most `graceMs`. */
  stop(graceMs: number): Promise<void>;
};

/** @throws when the address cannot be bound. */
export async function startApiServer(api: Api, host: string, port: number): Promise<ApiServer> {
  let isStopping = false;
  const inHand = new Map<Duplex, ServerResponse>();
  const answer = getRequestListener(api.fetch, { hostname: "localhost", errorHandler: answerUnroutable });

  const options = { maxHeaderSize: MAX_HEADER_BYTES, connectionsCheckingInterval: LATE_CHECK_MS };
  const server = createServer(options, (incoming, outgoing) => {
    const { socket } = incoming;
    inHand.set(socket, outgoing);
    // Here and not in a route: on the way through a `Headers` they would cost more than all else that an answer does.
    for (const [name, value] of SECURITY_HEADERS) outgoing.setHeader(name, value);
    outgoing.once("close", () => {
      if (inHand.get(socket) === outgoing) inHand.delete(socket);
      if (isStopping) server.closeIdleConnections();
    });
    if (isStopping || isReplay(socket)) outgoing.setHeader("Connection", "close");
    void answer(incoming, outgoing);
  });
  server.headersTimeout = 10_000;
  server.requestTimeout = 60_000;
  // Longer than proxies keep their side (60 s as a rule): who closes first must not be the one who is sent requests.
  server.keepAliveTimeout = 75_000;
  server.maxConnections = MAX_SOCKETS;
  server.on("clientError", (error: ClientError, socket) => {
    const pending = inHand.get(socket);
    if (isReplayed(socket)) socket.destroy();
    else if (pending !== undefined) endAfter(pending, error, socket);
    else if (!replayWithEncodedTarget(server, error, socket)) endMalformed(socket, parserErrorCode(error));
  });

  await listen(server, host, port);
  return {
    port: (server.address() as AddressInfo).port, // a server that listens on TCP has an AddressInfo
    stop: (graceMs) => {
      isStopping = true;
      // A proxy or a client then opens its next connection somewhere else.
      for (const outgoing of inHand.values()) if (!outgoing.headersSent) outgoing.setHeader("Connection", "close");
      return closeServer(server, graceMs);
    },
  };
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

function closeServer(server: Server, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.closeAllConnections(), graceMs);
    server.close(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** For a request whose host or path no URL can be made of. The error is not logged: it quotes the URL. */
function answerUnroutable(): Response {
  return Response.json(errorBody("malformed_request"), { status: 400 });
}

/**
 * Ends a connection after the answer of its last request. What was published must not be answered with an error because of bytes that
 * follow it, so its route answers; only a route that waits for the rest of a body is told that it will not come.
 */
function endAfter(pending: ServerResponse, error: ClientError, socket: Duplex): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  if (!pending.headersSent) pending.setHeader("Connection", "close");
  pending.once("close", () => socket.end(() => socket.destroy()));
  const { req: incoming } = pending;
  if (!incoming.complete && incoming.listenerCount("error") > 0) incoming.emit("error", error);
}

/** Answers by hand what never became a request. */
function endMalformed(socket: Duplex, code: ErrorCode): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const { status } = errorEntry(code);
  const body = JSON.stringify(errorBody(code));
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}`,
    "Content-Type: application/json",
    `Content-Length: ${Buffer.byteLength(body)}`,
    "Connection: close",
  ];
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`, () => socket.destroy());
}
