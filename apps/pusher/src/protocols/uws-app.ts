import type { TemplatedApp, us_listen_socket } from "uWebSockets.js";
import { createRequire } from "node:module";
import { otherProtocolAt } from "../wire/opening-request.ts";
import { answerRefusal, turnedAway } from "./refusals.ts";

/** Loaded as late as this: uWebSockets.js reads how large a head may be (main.ts) once, when it is loaded. */
function loadEngine(): typeof import("uWebSockets.js") {
  return createRequire(import.meta.url)("uWebSockets.js");
}

/** The port that the protocols share: the only file that runs uWebSockets.js; the others know its types. */
export class UwsApp {
  readonly #engine = loadEngine();
  readonly app: TemplatedApp = this.#engine.App();
  /** For {@link TemplatedApp.ws}: compression costs five times the CPU of a delivery. */
  readonly noCompression = this.#engine.DISABLED;
  #listenSocket: us_listen_socket | undefined;

  /** To be called when every protocol has its route. Several workers of one machine may listen on the same port. */
  listen(host: string, port: number): Promise<void> {
    this.app.any("/*", (response, request) => {
      const otherProtocol = otherProtocolAt(request.getUrl());
      answerRefusal(
        response,
        otherProtocol === undefined ? turnedAway("upgrade") : turnedAway("path", `${otherProtocol} is not served here`),
      );
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
    if (this.#listenSocket) this.#engine.us_listen_socket_close(this.#listenSocket);
    this.#listenSocket = undefined;
  }

  /** Ends everything at once. */
  close(): void {
    this.closePort();
    this.app.close();
  }
}
