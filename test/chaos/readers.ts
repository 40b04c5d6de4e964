import { get, type IncomingMessage } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { connect } from "@fanwire/client";
import { SignJWT } from "jose";
import { WebSocket } from "ws";
import { type ChaosCluster, TOKEN_SECRET } from "./cluster.ts";
import type { Ledger, Reader } from "./ledger.ts";

/** A client that reconnects until it is closed. */
export type ChaosClient = {
  readonly name: string;
  /** Address of its connection. Undefined while it has none. */
  address(): string | undefined;
  close(): void;
};

type ReaderEvents = {
  disconnected(reader: Reader, address: string, how: string): void;
  notRecovered(reader: Reader): void;
};

type ReaderParts = {
  readonly cluster: ChaosCluster;
  readonly ledger: Ledger;
  readonly reader: Reader;
  readonly events: ReaderEvents;
};

/** Sequence of the publication. The id of a copy is between it and the one before. */
export const sequenceOf = (position: string) => Math.ceil(Number(position.slice(position.lastIndexOf("-") + 1)));

/** Matches the whole content: otherwise the second of two joined by mistake would go unnoticed. */
const numberOf = (content: unknown) =>
  typeof content === "string" && /^[1-9]\d*$/.test(content) ? Number(content) : Number.NaN;

const RETRY_MS = 1_000;
export const TOKEN_LIFETIME_MS = 12 * 3_600_000;

/** Connects the project's own client. */
export function connectFanwireReader({ cluster, reader, events }: ReaderParts): ChaosClient {
  /** As behind a load balancer: each attempt goes to a pusher that is ready. */
  class BalancedWebSocket extends WebSocket {
    constructor(url: string, protocol: string | string[]) {
      const target = new URL(url);
      target.port = new URL(edgeUrl(cluster)).port;
      super(target, protocol, { perMessageDeflate: false });
    }
  }
  let address = "";
  const client = connect({
    url: edgeUrl(cluster),
    WebSocket: BalancedWebSocket,
    topics: reader.subscriptions,
    token: () => tokenOf(reader),
    onPublication: ({ data, position, topic, subscription }) =>
      reader.receive({
        number: numberOf(data),
        sequence: position === undefined ? undefined : sequenceOf(position),
        subscription: subscription ?? topic,
        address: client.address ?? "",
      }),
    onState: (state) => {
      if (state.state === "open") {
        address = state.address;
        if (state.recovered !== false) return;
        events.notRecovered(reader);
        reader.forgive(sequenceOf(client.position ?? ""));
      } else if (state.state === "waiting" && address !== "") {
        events.disconnected(reader, address, `${state.code} ${state.reason}`);
        address = "";
      }
    },
  });
  return { name: reader.name, address: () => client.address, close: () => client.close() };
}

/** Reads as EventSource does, with one topic or pattern, because SSE does not name the subscription of a delivery. */
export function connectSseReader({ cluster, ledger, reader, events }: ReaderParts): ChaosClient {
  const state = { isClosed: false, address: undefined as string | undefined, lastId: "" };
  let response: IncomingMessage | undefined;

  const onEvent = ({ event, id, data }: Record<string, string>) => {
    if (event === "fanwire.welcome") state.address = JSON.parse(data ?? "").connection;
    if (event === "fanwire.gap") {
      events.notRecovered(reader);
      reader.forgive(sequenceOf(state.lastId));
    }
    if (id !== undefined) state.lastId = id;
    if (event !== undefined && event !== "message") return;
    const number = numberOf(data);
    const sequence = id === undefined ? undefined : sequenceOf(id);
    reader.receive({ number, sequence, subscription: wayOf(ledger, reader, number), address: state.address ?? "" });
  };
  const readOnce = async () => {
    const url = new URL("sse", edgeUrl(cluster).replace("ws:", "http:"));
    for (const topic of reader.subscriptions) url.searchParams.append("topic", topic);
    url.searchParams.append("token", await tokenOf(reader));
    response = await new Promise<IncomingMessage>((resolve, reject) => {
      get(url, { headers: { "last-event-id": state.lastId }, agent: false }, resolve).once("error", reject);
    });
    if (response.statusCode !== 200) throw new Error(`answered ${response.statusCode}`);
    let text = "";
    for await (const chunk of response.setEncoding("utf8") as AsyncIterable<string>) {
      const blocks = (text + chunk).split("\n\n");
      text = blocks.pop() ?? "";
      for (const block of blocks.map(fieldsOf)) if (block.data !== undefined) onEvent(block);
    }
  };
  void (async () => {
    while (!state.isClosed) {
      const how = await readOnce().then(() => "ended", String);
      if (!state.isClosed && state.address !== undefined) events.disconnected(reader, state.address, how);
      state.address = undefined;
      await delay(Math.random() * RETRY_MS);
    }
  })();
  return {
    name: reader.name,
    address: () => state.address,
    close: () => {
      state.isClosed = true;
      response?.destroy();
    },
  };
}

/** Connects with the raw protocol, which cannot resume and delivers live publications only. */
export function connectRawReader({ cluster, ledger, reader, events }: ReaderParts): ChaosClient {
  const state = { isClosed: false, address: undefined as string | undefined };
  let socket: WebSocket | undefined;

  const connectOnce = async () => {
    const url = new URL(edgeUrl(cluster));
    for (const topic of reader.subscriptions) url.searchParams.append("topic", topic);
    url.searchParams.append("token", await tokenOf(reader));
    if (state.isClosed) return;
    socket = new WebSocket(url, { perMessageDeflate: false, handshakeTimeout: 10_000 });
    socket.on("error", () => {}); // a close follows
    socket.on("message", (data: Buffer) => {
      const text = data.toString();
      if (state.address === undefined) {
        const [, worker, connection] = /^workerID:(\S+) connectionID:(\S+) /.exec(text) ?? [];
        state.address = `${worker}.${connection}`;
        return;
      }
      const number = numberOf(text);
      const subscription = wayOf(ledger, reader, number);
      reader.receive({ number, sequence: undefined, subscription, address: state.address });
    });
    socket.on("close", (code, reason) => {
      if (!state.isClosed && state.address !== undefined)
        events.disconnected(reader, state.address, `${code} ${reason}`);
      state.address = undefined;
      if (!state.isClosed) setTimeout(() => void connectOnce(), Math.random() * RETRY_MS);
    });
  };
  void connectOnce();
  return {
    name: reader.name,
    address: () => state.address,
    close: () => {
      state.isClosed = true;
      socket?.terminate();
    },
  };
}

function edgeUrl({ pushers }: ChaosCluster): string {
  const ready = pushers.filter(({ isReady }) => isReady);
  const among = ready.length > 0 ? ready : pushers;
  return among[Math.floor(Math.random() * among.length)]?.service.url ?? "";
}

function wayOf(ledger: Ledger, reader: Reader, number: number): string | undefined {
  const target = ledger.entry(number)?.target;
  return target !== undefined && "topic" in target ? reader.subscriptions[0] : undefined;
}

function tokenOf({ user, name }: Reader): Promise<string> {
  return new SignJWT({ sub: user ?? name, topics: [">"] })
    .setProtectedHeader({ alg: "HS256" })
    .setNotBefore(new Date())
    .setExpirationTime(new Date(Date.now() + TOKEN_LIFETIME_MS))
    .sign(Buffer.from(TOKEN_SECRET));
}

function fieldsOf(block: string): Record<string, string> {
  return Object.fromEntries(
    block.split("\n").map((line) => {
      const colon = line.indexOf(": ");
      return [line.slice(0, colon), line.slice(colon + 2)];
    }),
  );
}
