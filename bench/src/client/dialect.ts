/** Protocol between the load client and a server. Plain values, because they travel to its process. */
export type Dialect = {
  readonly transport: "websocket" | "events";
  /** `{index}` stands for the number of the connection, from 0, and `{token}` for its token. */
  readonly path: string;
  readonly tokens?: readonly string[];
  readonly subprotocol?: string;
  /** Text frames that the client sends as soon as it is upgraded. */
  readonly hello?: string;
  /** Text frames that the client answers, with their answers. */
  readonly answers?: Readonly<Record<string, string>>;
  /** Text frame that each client sends in this interval, and the server's answer. */
  readonly ping?: { readonly everyMs: number; readonly frame: string; readonly answer: string };
  /** Number of frames without a content that a server sends before the connection receives publications. */
  readonly greetings: number;
};

/** One content per frame, without a greeting. */
export const plainDialect: Dialect = { transport: "websocket", path: "/", greetings: 0 };
