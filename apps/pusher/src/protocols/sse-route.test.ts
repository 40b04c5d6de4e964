import type { HttpRequest, HttpResponse } from "uWebSockets.js";
import { anonymousGrant } from "@fanwire/tokens";
import { expect, test } from "vitest";
import type { Connection } from "../connections/connection.ts";
import { newCounters } from "../connections/counters.ts";
import type { RecoveryRequest } from "../recovery/recovery.ts";
import type { ServingParts } from "./served-protocol.ts";
import { sse } from "./sse.ts";
import { openSseRoute } from "./sse-route.ts";
import type { UwsApp } from "./uws-app.ts";

test("a stream that is closed when its welcome is written joins no topic, because it would never leave", () => {
  let open: Connection | undefined;
  let recovery: RecoveryRequest | undefined;
  const joined: string[] = [];
  let isReading = true;
  const response = {
    getRemoteAddressAsText: () => new ArrayBuffer(0),
    onAborted() {},
    onWritable() {},
    writeStatus: () => response,
    writeHeader: () => response,
    cork: (writing: () => void) => writing(),
    write: () => isReading,
    close() {},
  };
  const query = { topics: [], presence: ["room"], since: undefined, lastEventId: undefined };
  const parts = {
    config: { limits: { unsentBytes: 1_000 }, allowedOrigins: [] },
    counters: newCounters(),
    addresses: { forwarded: () => undefined },
    handshakes: { receiveRequest: () => ({ outcome: "admitted", grant: anonymousGrant([]), query }) },
    hub: {
      nextConnectionId: () => 1,
      addressOf: () => "worker01.1",
      open: (connection: Connection) => {
        open = connection;
        return [];
      },
      close: () => {
        open = undefined;
      },
      connection: () => open,
      presence: { join: (_: Connection, topic: string) => joined.push(topic) },
    },
    recovery: {
      start: (request: RecoveryRequest) => {
        recovery = request;
      },
    },
  };
  const app = {
    get: (_: string, handler: (...all: unknown[]) => void) => handler(response, request),
    options() {},
    any() {},
  };
  const request = { getHeader: () => "", getQuery: () => "" } as unknown as HttpRequest;
  const pace = { answer: (_: HttpResponse, __: number, answer: () => void) => answer() };

  openSseRoute({ app, pace } as unknown as UwsApp, sse, parts as unknown as ServingParts).stop();
  isReading = false;
  open?.send("x".repeat(1_001));
  recovery?.onOutcome({ recovered: null, position: undefined });

  expect(open).toBeUndefined();
  expect(joined).toEqual([]);
});
