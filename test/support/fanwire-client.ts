import { type ClientOptions, WebSocket } from "ws";
import { closeAfterTest } from "./open-clients.ts";
import { until } from "./wait.ts";

export type FanwireMessage = Readonly<Record<string, unknown>> & { readonly type: string };

export type FanwireClient = {
  readonly socket: WebSocket;
  readonly welcome: FanwireMessage & { readonly connection: string };
  /** All messages so far, in order. */
  readonly messages: readonly FanwireMessage[];
  /** Publications so far, in order. */
  readonly publications: FanwireMessage[];
  /** Data of the publications so far. */
  data(): unknown[];
  /** Replies so far, in order. */
  replies(): FanwireMessage[];
  close: { readonly code: number; readonly reason: string } | undefined;
  /** Sends a command and waits for its reply. */
  ask(command: Readonly<Record<string, unknown>>): Promise<FanwireMessage>;
  /** Sends commands in one frame. Returns all replies in the order of the commands. */
  askTogether(commands: readonly Readonly<Record<string, unknown>>[]): Promise<FanwireMessage[]>;
};

/** Connects a fanwire.v1 client, which keeps all messages. Resolves when it has the welcome. */
export async function connectFanwire(
  url: string,
  query: Record<string, string | string[]> = {},
  options: ClientOptions = {},
): Promise<FanwireClient> {
  const target = new URL(url);
  for (const [name, value] of Object.entries(query)) {
    for (const each of [value].flat()) target.searchParams.append(name, each);
  }
  const socket = new WebSocket(target, "fanwire.v1", { perMessageDeflate: false, ...options });
  closeAfterTest(() => socket.terminate());
  const messages: FanwireMessage[] = [];
  let failure: Error | undefined;
  let close: FanwireClient["close"];
  socket.on("message", (data: Buffer) => {
    for (const line of data.toString().split("\n")) messages.push(JSON.parse(line));
  });
  socket.on("close", (code, reason) => {
    close = { code, reason: reason.toString() };
  });
  socket.on("error", (error) => {
    failure = error;
  });

  const welcome = await until("the welcome", () => {
    if (failure || close) throw failure ?? new Error(`closed with ${close?.code}`);
    return messages[0];
  });
  if (welcome.type !== "welcome") throw new Error(`not a welcome: ${JSON.stringify(welcome)}`);
  let lastId = 0;
  const replyTo = (id: number, command: unknown) =>
    until(`the reply to ${JSON.stringify(command)}`, () => {
      const reply = messages.find((message) => message.type === "reply" && message.id === id);
      if (reply === undefined && close) throw new Error(`closed with ${close.code}`);
      return reply;
    });
  return {
    socket,
    welcome: { ...welcome, connection: String(welcome.connection) },
    messages,
    get publications() {
      return messages.filter(({ type }) => type === "publication");
    },
    data: () => messages.filter(({ type }) => type === "publication").map(({ data }) => data),
    replies: () => messages.filter(({ type }) => type === "reply"),
    get close() {
      return close;
    },
    ask: (command) => {
      lastId++;
      const id = lastId;
      socket.send(JSON.stringify({ id, ...command }));
      return replyTo(id, command);
    },
    askTogether: (commands) => {
      const first = lastId + 1;
      lastId += commands.length;
      socket.send(commands.map((command, at) => JSON.stringify({ id: first + at, ...command })).join("\n"));
      return Promise.all(commands.map((command, at) => replyTo(first + at, command)));
    },
  };
}
