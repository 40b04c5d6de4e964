import type { TemplatedApp, us_listen_socket } from "uWebSockets.js";
import { createRequire } from "node:module";
import { otherProtocolAt } from "../wire/opening-request.ts";
import { otherClientAt } from "./client-script.ts";
import { answerRefusal, turnedAway } from "./refusals.ts";

/** Loads uWebSockets.js late, because it reads the maximum size of a request head (main.ts) when it is loaded. */
function loadEngine(): typeof import("uWebSockets.js") {
  return createRequire(import.meta.url)("uWebSockets.js");
}

/** The port that all protocols share. Only this file runs uWebSockets.js, and others import its types. */
export class UwsApp {
  readonly #engine = loadEngine();
  readonly app: TemplatedApp = this.#engine.App();
  /** Option of {@link TemplatedApp.ws}. Compression takes five times the CPU of a delivery. */
  readonly noCompression = this.#engine.DISABLED;
  #listenSocket: us_listen_socket | undefined;

  /** Must be called after all routes are added. Several workers of one machine may listen on the same port. */
  listen(host: string, port: number): Promise<void> {
    this.app.any("/*", (response, request) => {
      const path = request.getUrl();
      const otherProtocol = otherProtocolAt(path);
      const otherClient = otherClientAt(path);
      if (otherProtocol !== undefined)
        answerRefusal(response, turnedAway("path", `${otherProtocol} is not served here`));
      else answerRefusal(response, otherClient === undefined ? turnedAway("upgrade") : turnedAway("path", otherClient));
    });
    return new Promise((resolve, reject) => {
      this.app.listen(host, port, (listenSocket) => {
        if (listenSocket === false) return reject(new Error(`cannot listen on ${host}:${port}`));
        this.#listenSocket = listenSocket;
        resolve();
      });
    });
  }

  /** Stops accepting connections. Open connections stay open. */
  closePort(): void {
    if (this.#listenSocket) this.#engine.us_listen_socket_close(this.#listenSocket);
    this.#listenSocket = undefined;
  }

  /** Closes all connections at once. */
  close(): void {
    this.closePort();
    this.app.close();
  }
}
