/** The parts of a pusher's source that a new client protocol uses. */

// @boundaries-ignore A test defines a client protocol and adds it to a worker in its own process.
export { readConfig } from "../../apps/pusher/src/config.ts";
// @boundaries-ignore see above
export type { BatchedFrames, SingleFrames } from "../../apps/pusher/src/connections/client-protocol.ts";
// @boundaries-ignore see above
export { newConnectionState } from "../../apps/pusher/src/connections/connection.ts";
// @boundaries-ignore see above
export { EventReporter } from "../../apps/pusher/src/events/event-reporter.ts";
// @boundaries-ignore see above
export { startWorker, type Worker } from "../../apps/pusher/src/process/worker.ts";
// @boundaries-ignore see above
export { clientProtocols } from "../../apps/pusher/src/protocols/client-protocols.ts";
// @boundaries-ignore see above
export { ResponseConnection } from "../../apps/pusher/src/protocols/response-connection.ts";
// @boundaries-ignore see above
export type {
  RoutedProtocol,
  ServingParts,
  WebSocketProtocol,
} from "../../apps/pusher/src/protocols/served-protocol.ts";
// @boundaries-ignore see above
export { startSession } from "../../apps/pusher/src/recovery/start-session.ts";
// @boundaries-ignore see above
export { readCertificate } from "../../apps/pusher/src/tls/certificate.ts";
// @boundaries-ignore see above
export { CertificateWatch } from "../../apps/pusher/src/tls/certificate-watch.ts";
