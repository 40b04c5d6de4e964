import type { FanwireError } from "./error.ts";
import type { Publication } from "./messages.ts";
import type { TokenOption } from "./token.ts";
import type { WebSocketConstructor } from "./transport.ts";

export type ClientState =
  | { readonly state: "connecting" }
  | {
      readonly state: "open";
      /** The connection's address in the cluster. */
      readonly address: string;
      /**
       * `true`: no durable publication since the last position is missing. `false`: this cannot be proved, so that the
       * application must load its state again. `null`: there was no position to resume from.
       */
      readonly recovered: boolean | null;
    }
  | {
      /** The client reconnects after `retryInMs`. */
      readonly state: "waiting";
      readonly retryInMs: number;
      /** Code of the close frame, 1006 without a close frame. */
      readonly code: number;
      readonly reason: string;
    }
  | {
      /** Final: `close()` was called, or the worker closed with a final code. */
      readonly state: "closed";
      readonly code: number;
      readonly reason: string;
    };

export type ClientOptions = {
  /** URL of a pusher: `ws:`, `wss:`, `http:`, `https:`, or relative to the page. */
  readonly url: string | URL;
  /**
   * Topics and patterns to subscribe to from the start. If the token does not allow them all, the first worker closes
   * the client permanently (4403).
   */
  readonly topics?: readonly string[] | undefined;
  /** JWT, or a callback that returns one; see {@link TokenOption}. */
  readonly token?: TokenOption | undefined;
  /** Position `<epoch>-<sequence>` to resume from. The worker first delivers the durable publications after it. */
  readonly since?: string | undefined;
  /** Required without a global WebSocket, as in Node 20. The one of `ws` is suitable. */
  readonly WebSocket?: WebSocketConstructor | undefined;
  /** Maximum time until the reply to a command, in milliseconds; default 10,000. */
  readonly commandTimeoutMs?: number | undefined;
  /**
   * Called once for each subscription that matches a publication. Durable publications arrive in stream order. An error
   * that it throws is rethrown in a microtask.
   */
  readonly onPublication: (publication: Publication) => void;
  /** Called after each change of the state. */
  readonly onState?: ((state: ClientState) => void) | undefined;
  /**
   * Called when a worker refuses a subscription, a new token does not allow it, or the application ends it (HTTP API).
   * The client does not subscribe again.
   */
  readonly onRefused?: ((topic: string, error: FanwireError) => void) | undefined;
};
