import type { WebSocket } from "uWebSockets.js";
import { setImmediate as nextTick } from "node:timers/promises";
import { type CloseCode, closeCodes } from "@fanwire/protocol";
import { createLog } from "@fanwire/service";
import type { TokenResult } from "@fanwire/tokens";
import { beforeEach, expect, test } from "vitest";
import type { ConnectionState } from "../connections/connection.ts";
import { FanwireSessions } from "./fanwire-sessions.ts";
import type { InboundLimit } from "./inbound-limit.ts";
import type { ServingParts } from "./served-protocol.ts";

const MAX_BYTES = 1_000;

const CLOSED = "Invalid access of closed uWS.WebSocket/SSLWebSocket.";

/** Ids of the replies that were sent, and close codes. */
let sent: (string | number)[];
/** End the verification of tokens. */
let verified: (() => void)[];
/** Reject the verification of tokens, which only a defect can do. */
let failed: (() => void)[];
/** Begin slices of time. */
let turns: (() => void)[];
let isOpen: boolean;
let sessions: FanwireSessions;

const socket = {
  getUserData: () => ({ connectionId: 1, grant: {} }),
  // uWebSockets.js throws then, which ends the process.
  send: (frame: string) => sent.push(isOpen ? JSON.parse(frame).id : CLOSED),
} as unknown as WebSocket<ConnectionState>;

function close(_: unknown, { code }: CloseCode): void {
  sent.push(isOpen ? code : CLOSED);
  isOpen = false;
  sessions.close(socket);
}

beforeEach(() => {
  sent = [];
  verified = [];
  failed = [];
  turns = [];
  isOpen = true;
  const verify = () =>
    new Promise<TokenResult>((resolve, reject) => {
      verified.push(() => resolve({ ok: false, reason: "expired" }));
      failed.push(() => reject(new Error("defect")));
    });
  const parts = {
    config: { limits: { inboundBytes: MAX_BYTES } },
    // The slice of this tick is used up.
    slices: { mayWorkNow: () => false, turn: () => new Promise<void>((resolve) => turns.push(resolve)) },
    hub: { flushTo() {}, isLive: () => false, end: close, connection: () => (isOpen ? socket : undefined) },
    verifier: { isOpen: false, verify },
    log: createLog("test", "silent"),
  };
  const inbound = { count: () => true, close };
  sessions = new FanwireSessions(parts as unknown as ServingParts, inbound as unknown as InboundLimit);
});

function receive(text: string): void {
  const { buffer, byteOffset, byteLength } = Buffer.from(text);
  sessions.receive(socket, buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer, false);
}

async function nextSlice(): Promise<void> {
  for (const begin of turns.splice(0)) begin();
  await nextTick();
}

async function endVerification(): Promise<void> {
  verified.shift()?.();
  await nextTick();
}

const command = (id: number, name: string) => JSON.stringify({ id, command: name, token: "t" });
const ping = (id: number) => command(id, "ping");
const refresh = (id: number) => command(id, "refresh");
const largePing = (id: number) => ping(id).padEnd(MAX_BYTES);

test("commands wait for a slice of time, and are executed at once when they become too many", async () => {
  receive(ping(1));
  expect(sent).toEqual([]);
  await nextSlice();
  expect(sent).toEqual([1]);

  receive(ping(2));
  receive(ping(3));
  receive(largePing(4));

  expect(sent).toEqual([1, 2, 3, 4]);
  await nextSlice();
  expect(sent).toEqual([1, 2, 3, 4]);
});

test("nothing is executed after a command that closed its connection", async () => {
  receive(ping(1));
  receive("x");
  receive(largePing(2));
  await nextSlice();

  expect(sent).toEqual([1, closeCodes.malformedMessage.code]);
});

test("commands behind a refresh wait for its token, also those that exceed what may wait", async () => {
  receive(ping(1));
  receive([refresh(2), ping(3)].join("\n"));
  receive(largePing(4));
  await nextSlice();
  expect(sent).toEqual([1]);

  await endVerification();

  expect(sent).toEqual([1, 2, 3, 4]);
});

test("a command that meets a defect is answered, and those behind it are executed", async () => {
  receive([refresh(1), ping(2)].join("\n"));
  await nextSlice();

  failed.shift()?.();
  await nextTick();

  expect(sent).toEqual([1, 2]);
});

test("a client that sends more than may wait for its token may reconnect", () => {
  receive(refresh(1));
  receive(largePing(2));
  receive(ping(3));
  expect(sent).toEqual([]);

  receive(ping(4));

  expect(sent).toEqual([closeCodes.tokenUnchecked.code]);
});
