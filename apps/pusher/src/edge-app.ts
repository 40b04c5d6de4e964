// A CommonJS module that picks its binary at run time: only its default export can be imported.
import uWS, { type TemplatedApp, type us_listen_socket } from "uWebSockets.js";

/** The port that the doors share: the only file that runs uWebSockets.js; the others know its types. */
export class EdgeApp {
  readonly app: TemplatedApp = uWS.App();
  /** For {@link TemplatedApp.ws}: compression costs five times the CPU of a delivery. */
  readonly noCompression = uWS.DISABLED;
  #listenSocket: us_listen_socket | undefined;

  /** To be called when every door has its route. Several workers of one machine may listen on the same port. */
  listen(host: string, port: number): Promise<void> {
    this.app.any("/*", (response) => {
      response
        .writeStatus("426 Upgrade Required")
        .writeHeader("Upgrade", "websocket")
        .writeHeader("Content-Type", "text/plain; charset=utf-8")
        .end("This is Fanwire's edge. Connect with a WebSocket client, or read /sse.\n");
    });
    return new Promise((resolve, reject) => {
      this.app.listen(host, port, (listenSocket) => {
        if (listenSocket === false) return reject(new Error(`cannot listen on ${host}:${port}`));
        this.#listenSocket = listenSocket;
        resolve();
      });
    });
  }

  /** Accepts nobody any more; what is open stays open. */
  closePort(): void {
    if (this.#listenSocket) uWS.us_listen_socket_close(this.#listenSocket);
    this.#listenSocket = undefined;
  }

  /** Ends everything at once. */
  close(): void {
    this.closePort();
    this.app.close();
  }
}
