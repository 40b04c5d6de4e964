import type { HttpRequest, HttpResponse, WebSocketBehavior } from "uWebSockets.js";
import type { CloseCode } from "@fanwire/protocol";
import type { PusherApp } from "@fanwire/pusher-protocol";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { AwakeClock } from "../../connections/awake-clock.ts";
import type { ConnectionState } from "../../connections/connection.ts";
import { newCounters } from "../../connections/counters.ts";
import type { ServingParts } from "../served-protocol.ts";
import type { UwsApp } from "../uws-app.ts";
import { pusher } from "./protocol.ts";
import { openPusherRoute } from "./route.ts";
import type { PusherSocket } from "./session.ts";

const REQUEST: Readonly<Record<string, string>> = {
  upgrade: "websocket",
  connection: "Upgrade",
  "sec-websocket-version": "13",
  "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
};
const request = {
  getHeader: (name: string) => REQUEST[name] ?? "",
  getParameter: () => "key",
  getQuery: () => "protocol=7",
} as unknown as HttpRequest;
const app = { namespace: "", authorizedWithinSeconds: 0, allowedOrigins: ["*"] } as unknown as PusherApp;

/** Events of the frames that the client received, and its close code. */
let received: unknown[];
let pings: number;
let stop: () => void;

beforeEach(() => {
  vi.useFakeTimers();
  received = [];
  pings = 0;
});
afterEach(() => {
  stop();
  vi.useRealTimers();
});

/** Connects a client. `turn` ends when sessions may start. */
function connect({ turn, idleSeconds }: { readonly turn?: Promise<void>; readonly idleSeconds: number }) {
  let behavior: WebSocketBehavior<ConnectionState> | undefined;
  const clock = new AwakeClock();
  const parts = {
    config: {
      idleSeconds,
      limits: { inboundBytes: 1_000, inboundPerSecond: 100, topics: 10, connections: 10, unsentBytes: 1_000 },
      pusherApps: { all: [app], withKey: () => app },
    },
    workerId: "worker01",
    hub: {
      admit: () => undefined,
      openConnections: 0,
      nextConnectionId: () => 1,
      open: () => [],
      end: (_: unknown, { code }: CloseCode) => void received.push(code),
    },
    recovery: { start() {} },
    slices: { mayWorkNow: () => turn === undefined, turn: () => turn },
    addresses: { forwarded: () => undefined },
    counters: newCounters(),
    clock,
  } as unknown as ServingParts;
  const uws = {
    app: {
      ws: (_: string, opened: WebSocketBehavior<ConnectionState>) => {
        behavior = opened;
      },
      any() {},
    },
    pace: { upgrade: (_: HttpResponse, __: string, ___: number, upgrade: () => void) => upgrade() },
  } as unknown as UwsApp;
  const route = openPusherRoute(uws, () => pusher, parts);
  stop = () => {
    route.stop();
    clock.stop();
  };

  let state: ConnectionState | undefined;
  const socket = {
    getUserData: () => state,
    send: (frame: string) => received.push(JSON.parse(frame).event),
    ping: () => pings++,
    cork: (write: () => void) => write(),
  } as unknown as PusherSocket;
  const response = {
    upgrade: (userData: ConnectionState) => {
      state = userData;
      behavior?.open?.(socket);
    },
  };
  behavior?.upgrade?.(response as unknown as HttpResponse, request, {} as never);
  const send = (text: string, isBinary: boolean) => {
    const { buffer, byteOffset, byteLength } = Buffer.from(text);
    const message = buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer;
    void behavior?.message?.(socket, message, isBinary);
  };
  return { behavior, send };
}

const ping = JSON.stringify({ event: "pusher:ping", data: {} });

test("a binary frame is refused also while the client waits for its session", async () => {
  let begin = () => {};
  const turn = new Promise<void>((resolve) => {
    begin = resolve;
  });
  const { send } = connect({ turn, idleSeconds: 120 });
  send(ping, true);
  send(ping, false);
  begin();
  await vi.advanceTimersByTimeAsync(0);
  send(ping, true);

  expect(received).toEqual(["pusher:error", "pusher:connection_established", "pusher:pong", "pusher:error"]);
});

test.each([8, 120, 900, 960])(
  "a silent client is closed with 4201 before uWebSockets.js closes it, with PUSHER_IDLE_SECONDS=%i",
  async (idleSeconds) => {
    const { behavior } = connect({ idleSeconds });
    expect(received).toEqual(["pusher:connection_established"]);

    await vi.advanceTimersByTimeAsync(Math.min(idleSeconds, 900) * 1_000);
    expect(pings).toBe(0);
    await vi.advanceTimersByTimeAsync(60_000);

    expect(pings).toBe(1);
    expect(received).toEqual(["pusher:connection_established", 4201]);
    expect(behavior?.idleTimeout).toBe(Math.min(idleSeconds, 900) + 60);
  },
);
