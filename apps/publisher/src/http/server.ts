import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { getRequestListener } from "@hono/node-server";
import { type ClientError, isReplayStream, isTakenOver, replayWithEncodedTarget } from "../compat/non-ascii-target.ts";
import type { Api } from "./api.ts";
import { type ErrorCode, errorBody, errorEntry, parserErrorCode } from "./errors.ts";

/**
 * Limit of the request line and headers. The classic cluster accepted 16 KiB; a Cyrillic letter in a query takes six
 * bytes.
 */
const MAX_HEADER_BYTES = 65_536;
/** Further sockets are dropped at once, because idle sockets cost memory too. */
const MAX_SOCKETS = 10_000;
/** Interval of checks for requests that exceed their timeout. Node's default is 30 s. */
const TIMEOUT_CHECK_MS = 1_000;

/** Headers of the answer to CONNECT, which names no path. */
const CONNECT_HEADERS = ["Allow: GET, HEAD, POST, PUT, DELETE"];

const SECURITY_HEADERS = Object.entries({
  // A cached response to a GET that publishes would lose a publication.
  "Cache-Control": "no-store",
  "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
});

export type ApiServer = {
  readonly port: number;
  /** Accepts no further connections, and waits for requests in flight for at most `graceMs`. */
  stop(graceMs: number): Promise<void>;
};

/** @throws if the address cannot be bound. */
export async function startApiServer(api: Api, host: string, port: number): Promise<ApiServer> {
  let isStopping = false;
  const inFlight = new Map<Duplex, ServerResponse>();
  const answer = getRequestListener(api.fetch, { hostname: "localhost", errorHandler: answerUnroutable });

  const options = {
    maxHeaderSize: MAX_HEADER_BYTES,
    connectionsCheckingInterval: TIMEOUT_CHECK_MS,
    // Node would refuse a request without Host itself, without a body.
    requireHostHeader: false,
  };
  const server = createServer(options);
  const onRequest = (incoming: IncomingMessage, outgoing: ServerResponse) => {
    const { socket } = incoming;
    inFlight.set(socket, outgoing);
    // Set here, because setting them through a `Headers` object would be most of the cost of a response.
    for (const [name, value] of SECURITY_HEADERS) outgoing.setHeader(name, value);
    outgoing.once("close", () => {
      if (inFlight.get(socket) === outgoing) inFlight.delete(socket);
      if (isStopping) server.closeIdleConnections();
    });
    if (outgoing.socket === null) closeWithConnection(outgoing, socket);
    if (isStopping || isReplayStream(socket)) outgoing.setHeader("Connection", "close");
    // No URL can be made of the target of a question about the whole server.
    if (incoming.method === "OPTIONS" && incoming.url === "*") incoming.url = "/";
    if (lacksHost(incoming)) refuseHostless(outgoing);
    else void answer(incoming, outgoing);
  };
  server.on("request", onRequest);
  // Node would answer an expectation other than 100-continue itself, without a body. A server may ignore it.
  server.on("checkExpectation", onRequest);
  server.on("connect", (_incoming, socket) => refuseConnect(socket, inFlight.get(socket)));
  server.headersTimeout = 10_000;
  server.requestTimeout = 60_000;
  // Longer than the 60 s of most proxies, because a proxy may send a request on a connection that the server is
  // closing.
  server.keepAliveTimeout = 75_000;
  server.maxConnections = MAX_SOCKETS;
  server.on("clientError", (error: ClientError, socket) => {
    const pending = inFlight.get(socket);
    if (isTakenOver(socket)) socket.destroy();
    else if (pending !== undefined) endAfter(pending, error, socket);
    else if (!replayWithEncodedTarget(server, error, socket)) endWithError(socket, parserErrorCode(error));
  });

  await listen(server, host, port);
  return {
    port: (server.address() as AddressInfo).port, // a server that listens on TCP has an AddressInfo
    stop: (graceMs) => {
      isStopping = true;
      // The proxy or client then opens its next connection to another publisher.
      for (const outgoing of inFlight.values()) if (!outgoing.headersSent) outgoing.setHeader("Connection", "close");
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

/** Answers a request from whose host and path no URL can be made. Does not log the error, because it quotes the URL. */
function answerUnroutable(): Response {
  return Response.json(errorBody("malformed_request"), { status: 400 });
}

/**
 * Ends a connection after the response to its pending request. The route responds, because a publication must not be
 * answered with an error for bytes that follow it. A route that waits for the rest of a body receives the error.
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

/**
 * Closes a response that waits behind another one of its connection when the connection closes. Node leaves it open,
 * with all that waits for its end.
 */
function closeWithConnection(outgoing: ServerResponse, socket: Duplex): void {
  const close = () => {
    // Node closes the response that the connection is sending.
    if (outgoing.socket !== null) return;
    outgoing.destroy();
    outgoing.emit("close");
  };
  // A client may send any number of requests before it reads a response.
  socket.setMaxListeners(0).once("close", close);
  outgoing.once("close", () => socket.off("close", close));
}

/** HTTP/1.1 demands the header, HTTP/1.0 does not have it. */
function lacksHost({ headers, httpVersion }: IncomingMessage): boolean {
  return headers.host === undefined && httpVersion !== "1.0";
}

function refuseHostless(outgoing: ServerResponse): void {
  const body = JSON.stringify(errorBody("malformed_request"));
  outgoing.writeHead(400, {
    "Content-Type": "application/json",
    "Content-Length": Buffer.byteLength(body),
    Connection: "close",
  });
  outgoing.end(body);
}

/** Answers a CONNECT, for which Node would close the connection, after the earlier requests of the connection. */
function refuseConnect(socket: Duplex, pending: ServerResponse | undefined): void {
  // Node has removed its listeners.
  socket.on("error", () => socket.destroy());
  const refuse = () => endWithError(socket, "method_not_allowed", CONNECT_HEADERS);
  if (pending === undefined) refuse();
  else pending.once("close", refuse);
}

/** Answers bytes that are no request for a route, and closes the connection. */
function endWithError(socket: Duplex, code: ErrorCode, headers: readonly string[] = []): void {
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
    ...headers,
    "Connection: close",
  ];
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`, () => socket.destroy());
}
