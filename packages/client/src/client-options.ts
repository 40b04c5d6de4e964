import type { FanwireError } from "./error.ts";
import type { WebSocketConstructor } from "./link.ts";
import type { Publication } from "./messages.ts";
import type { TokenOption } from "./token.ts";

export type ClientState =
  | { readonly state: "connecting" }
  | {
      readonly state: "open";
      /** The connection's address in the cluster. */
      readonly address: string;
      /**
       * `true`: nothing published durably is missing since the last position. `false`: that cannot be proven; load what you
       * show anew. `null`: there was no position to go on from.
       */
      readonly recovered: boolean | null;
    }
  | {
      /** It will connect again by itself. */
      readonly state: "waiting";
      readonly retryInMs: number;
      /** Of the close frame; 1006 when there was none. */
      readonly code: number;
      readonly reason: string;
    }
  | {
      /** For good: by `close()`, or because the worker said so. */
      readonly state: "closed";
      readonly code: number;
      readonly reason: string;
    };

export type ClientOptions = {
  /** Of the edge; `ws:`, `wss:`, `http:`, `https:`, or relative to the page. */
  readonly url: string | URL;
  /** Topics and patterns to follow from the start. */
  readonly topics?: readonly string[] | undefined;
  readonly token?: TokenOption | undefined;
  /** A position to go on from: what was published durably after it comes first. */
  readonly since?: string | undefined;
  /** Needed where there is no global one, as in Node 20: the one of `ws` does. */
  readonly WebSocket?: WebSocketConstructor | undefined;
  /** How long a command waits for its reply; default 10,000. */
  readonly commandTimeoutMs?: number | undefined;
  /** Once for each subscription that matches. Durable ones of a topic come in order. */
  readonly onPublication: (publication: Publication) => void;
  readonly onState?: ((state: ClientState) => void) | undefined;
  /** A topic that was to be followed (again) may not be, or no more with a new token: it is given up. */
  readonly onRefused?: ((topic: string, error: FanwireError) => void) | undefined;
};
