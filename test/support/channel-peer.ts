import { connect, type Socket } from "node:net";
import { inBatches } from "./in-batches.ts";
import { closeAfterTest } from "./open-clients.ts";
import { type PhpValue, serialize } from "./php-value.ts";
import { until } from "./wait.ts";

type Names = readonly (string | number | Uint8Array)[];

/** A Workerman process that speaks to a channel server, as `Channel\Client` does. */
export type ChannelPeer = Awaited<ReturnType<typeof connectPeer>>;

export type ChannelAddress = { readonly port: number } | { readonly path: string };

let settlings = 0;

export async function connectPeer(address: ChannelAddress) {
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
  const named = (type: string) => {
    return (...names: Names) => send({ type, channels: [...names] });
  };
  const withData = (type: string) => (names: Names, data: PhpValue) => send({ type, channels: [...names], data });
  return {
    socket,
    /** Payloads received so far, one character a byte. */
    payloads,
    isClosed: () => isClosed,
    send,
    subscribe: named("subscribe"),
    unsubscribe: named("unsubscribe"),
    publish: withData("publish"),
    publishLoop: withData("publishLoop"),
    watch: named("watch"),
    unwatch: named("unwatch"),
    reserve: () => send({ type: "reserve" }),
    enqueue: withData("enqueue"),
    /** Resolves when the server has processed all messages sent so far and its replies have arrived. */
    settle: async () => {
      const name = `\0settle ${++settlings}`;
      named("subscribe")(name);
      withData("publish")([name], null);
      await until("the peer receives its own event", () => {
        if (isClosed) throw new Error("the peer was closed");
        return own.some((payload) => payload.includes(name));
      });
      named("unsubscribe")(name);
    },
    [Symbol.dispose]: () => void socket.destroy(),
  };
}

/** Connects `count` peers, some at a time. */
export function connectPeers(address: ChannelAddress, count: number): Promise<ChannelPeer[]> {
  return inBatches(count, 200, () => connectPeer(address));
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
