import { type ClientOptions, WebSocket } from "ws";
import { closeAfterTest } from "./open-clients.ts";
import { until } from "./wait.ts";

export type FanwireMessage = Readonly<Record<string, unknown>> & { readonly type: string };

export type FanwireClient = Awaited<ReturnType<typeof connectFanwire>>;
type Command = Readonly<Record<string, unknown>>;

/** Connects a fanwire.v1 client, which keeps all messages. Resolves when it has the welcome. */
export async function connectFanwire(
  url: string,
  query: Record<string, string | string[]> = {},
  options: ClientOptions = {},
) {
  const target = new URL(url);
  for (const [name, value] of Object.entries(query)) {
    for (const each of [value].flat()) target.searchParams.append(name, each);
  }
  const socket = new WebSocket(target, "fanwire.v1", { perMessageDeflate: false, ...options });
  closeAfterTest(() => socket.terminate());
  const messages: FanwireMessage[] = [];
  let failure: Error | undefined;
  let close: { readonly code: number; readonly reason: string } | undefined;
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
  const ofType = (wanted: string) => messages.filter(({ type }) => type === wanted);
  const replyTo = (id: number, command: Command): Promise<FanwireMessage> =>
    until(`the reply to ${JSON.stringify(command)}`, () => {
      const reply = messages.find((message) => message.type === "reply" && message.id === id);
      if (reply === undefined && close) throw new Error(`closed with ${close.code}`);
      return reply;
    });
  return {
    socket,
    welcome: { ...welcome, connection: String(welcome.connection) } as FanwireMessage & { readonly connection: string },
    /** All messages so far, in order. */
    messages,
    /** Publications so far, in order. */
    get publications() {
      return ofType("publication");
    },
    /** Data of the publications so far. */
    data: () => ofType("publication").map(({ data }) => data),
    /** Replies so far, in order. */
    replies: () => ofType("reply"),
    get close() {
      return close;
    },
    /** Sends a command and waits for its reply. */
    ask: (command: Command) => {
      lastId++;
      const id = lastId;
      socket.send(JSON.stringify({ id, ...command }));
      return replyTo(id, command);
    },
    /** Sends commands in one frame. Returns all replies in the order of the commands. */
    askTogether: (commands: readonly Command[]) => {
      const first = lastId + 1;
      lastId += commands.length;
      socket.send(commands.map((command, at) => JSON.stringify({ id: first + at, ...command })).join("\n"));
      return Promise.all(commands.map((command, at) => replyTo(first + at, command)));
    },
  };
}
