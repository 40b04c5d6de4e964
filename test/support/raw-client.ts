import { type ClientOptions, WebSocket } from "ws";
import { inBatches } from "./in-batches.ts";
import { closeAfterTest } from "./open-clients.ts";
import { until } from "./wait.ts";

export type RawClient = Awaited<ReturnType<typeof connectRawClient>>;

const GREETING = /^workerID:([a-z][a-z0-9]{7}) connectionID:([1-9]\d*) подключено\n$/;

/** Connects a client of the raw protocol. Resolves when it has its greeting. */
export async function connectRawClient(url: string, headers: Record<string, string> = {}, options: ClientOptions = {}) {
  const socket = new WebSocket(url, { headers, perMessageDeflate: false, ...options });
  closeAfterTest(() => socket.terminate());
  const frames: (string | Buffer)[] = [];
  let failure: Error | undefined;
  let close: { readonly code: number; readonly reason: string } | undefined;
  let greeting: string | undefined;
  socket.on("message", (data: Buffer, isBinary) => {
    if (greeting === undefined) greeting = data.toString();
    else frames.push(isBinary ? data : data.toString());
  });
  socket.on("close", (code, reason) => {
    close = { code, reason: reason.toString() };
  });
  socket.on("error", (error) => {
    failure = error;
  });

  const text = await until("the greeting", () => {
    if (greeting === undefined && (failure || close)) throw failure ?? new Error(`closed with ${close?.code}`);
    return greeting;
  });
  const [, workerId, connectionId] = GREETING.exec(text) ?? [];
  if (workerId === undefined || connectionId === undefined) throw new Error(`not a greeting: ${JSON.stringify(text)}`);
  return {
    socket,
    workerId,
    connectionId,
    address: `${workerId}.${connectionId}`,
    /** Frames after the greeting. Binary frames are Buffers. */
    frames,
    get close() {
      return close;
    },
  };
}

/** Connects `count` clients, 50 at a time. */
export function connectRawClients(url: string, count: number): Promise<RawClient[]> {
  return inBatches(count, 50, () => connectRawClient(url));
}
