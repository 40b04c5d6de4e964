/** How the load client talks to a server. Plain values: they travel to its process. */
export type Dialect = {
  readonly transport: "websocket" | "events";
  /** `{index}` stands for the number of the connection, from 0, and `{token}` for its token. */
  readonly path: string;
  readonly tokens?: readonly string[];
  readonly subprotocol?: string;
  /** Text frames that the client sends as soon as it is upgraded. */
  readonly hello?: string;
  /** Text frames it answers, each with another. */
  readonly answers?: Readonly<Record<string, string>>;
  /** Frames without a content that a server sends before the connection hears publications. */
  readonly greetings: number;
};

/** Contents as they are, one in each frame, and nothing before. */
export const plainDialect: Dialect = { transport: "websocket", path: "/", greetings: 0 };
