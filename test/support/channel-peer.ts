import { connect, type Socket } from "node:net";
import { closeAfterTest } from "./open-clients.ts";
import { type PhpValue, serialize } from "./php-value.ts";
import { until } from "./wait.ts";

type Names = readonly (string | number | Uint8Array)[];

/** A Workerman process that speaks to a channel server, as `Channel\Client` does. */
export type ChannelPeer = Disposable & {
  readonly socket: Socket;
  /** Payloads received so far, one character a byte. */
  readonly payloads: string[];
  isClosed(): boolean;
  send(message: PhpValue): void;
  subscribe(...names: Names): void;
  unsubscribe(...names: Names): void;
  publish(names: Names, data: PhpValue): void;
  publishLoop(names: Names, data: PhpValue): void;
  watch(...names: Names): void;
  unwatch(...names: Names): void;
  reserve(): void;
  enqueue(names: Names, data: PhpValue): void;
  /** Resolves when the server has processed all messages sent so far and its replies have arrived. */
  settle(): Promise<void>;
};

export type ChannelAddress = { readonly port: number } | { readonly path: string };

let settlings = 0;

export async function connectPeer(address: ChannelAddress): Promise<ChannelPeer> {
  const socket = connect("port" in address ? { host: "127.0.0.1", port: address.port } : address);
  closeAfterTest(() => socket.destroy());
  socket.setNoDelay(true);
  const payloads: string[] = [];
  const own: string[] = [];
  let isClosed = false;
  onFrame(socket, (payload) => (payload.includes("\0settle") ? own : payloads).push(payload));
  socket.on("close", () => {
    isClosed = true;
  });
  let failure: Error | undefined;
  socket.on("error", (error) => {
    failure = error; // the server may reset the connection under test
  });
  await until("the peer is connected", () => {
    if (failure) throw failure;
    return !socket.connecting;
  });

  const send = (message: PhpValue) => void socket.write(frame(serialize(message)));
  const named = (type: string) => (names: Names) => send({ type, channels: [...names] });
  const withData = (type: string) => (names: Names, data: PhpValue) => send({ type, channels: [...names], data });
  return {
    socket,
    payloads,
    isClosed: () => isClosed,
    send,
    subscribe: (...names) => named("subscribe")(names),
    unsubscribe: (...names) => named("unsubscribe")(names),
    publish: withData("publish"),
    publishLoop: withData("publishLoop"),
    watch: (...names) => named("watch")(names),
    unwatch: (...names) => named("unwatch")(names),
    reserve: () => send({ type: "reserve" }),
    enqueue: withData("enqueue"),
    settle: async () => {
      const name = `\0settle ${++settlings}`;
      named("subscribe")([name]);
      withData("publish")([name], null);
      await until("the peer receives its own event", () => {
        if (isClosed) throw new Error("the peer was closed");
        return own.some((payload) => payload.includes(name));
      });
      named("unsubscribe")([name]);
    },
    [Symbol.dispose]: () => void socket.destroy(),
  };
}

/** Connects `count` peers, some at a time. */
export async function connectPeers(address: ChannelAddress, count: number): Promise<ChannelPeer[]> {
  const peers: ChannelPeer[] = [];
  while (peers.length < count) {
    const batch = Array.from({ length: Math.min(200, count - peers.length) }, () => connectPeer(address));
    peers.push(...(await Promise.all(batch)));
  }
  return peers;
}

export function frame(payload: Uint8Array): Buffer {
  const header = Buffer.alloc(4);
  header.writeUInt32BE(payload.length + 4);
  return Buffer.concat([header, payload]);
}

/** Calls back with each payload, one character a byte. */
function onFrame(socket: Socket, onPayload: (payload: string) => void): void {
  let held = Buffer.alloc(0);
  socket.on("data", (chunk) => {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    let at = 0;
    while (held.length - at >= 4 && held.length - at >= held.readUInt32BE(at)) {
      const end = at + held.readUInt32BE(at);
      onPayload(held.toString("latin1", at + 4, end));
      at = end;
    }
    held = held.subarray(at);
  });
}
