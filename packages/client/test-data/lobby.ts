import type { ClientOptions, Presence, PresenceChange } from "../src/index.ts";
import { FakeWebSocket, type Recorded, recordOpen, settled } from "./fake-web-socket.ts";

export const ANN = { user: "ann", info: { name: "Ann" } };
export const BOB = { user: "bob" };
export const CYD = { user: "cyd" };

/** Returns the commands of the current connection, without their ids. */
export function commands(): Record<string, unknown>[] {
  return FakeWebSocket.last.commands.map(({ id: _id, ...command }) => command);
}

export function presenceCommands(): Record<string, unknown>[] {
  return FakeWebSocket.last.commands.filter(({ presence }) => presence === true);
}

/** Answers the last request for members. */
export function replyMembers(more: object): void {
  FakeWebSocket.last.deliver({ type: "reply", id: presenceCommands().at(-1)?.id, ok: true, ...more });
}

export function deliverChange(more: object): void {
  FakeWebSocket.last.deliver({ type: "presence", topic: "lobby", joined: [], left: [], ...more });
}

type Change = Omit<PresenceChange, "members">;

type Lobby = Recorded & { readonly lobby: Presence; readonly changes: Change[]; readonly ends: string[] };

/** Returns a client that has asked for the members. Records changes without the map, and the code of the end. */
export async function openLobby(options: Partial<ClientOptions> = {}): Promise<Lobby> {
  const recorded = await recordOpen(options);
  const lobby = recorded.client.presence("lobby");
  const changes: Change[] = [];
  const ends: string[] = [];
  lobby.on("change", ({ members: _members, ...change }) => changes.push(change));
  lobby.on("end", ({ code }) => ends.push(code));
  await settled();
  return { ...recorded, lobby, changes, ends };
}

/** Like {@link openLobby}, with the answer of the worker: Ann and Bob are there. */
export async function enterLobby(options: Partial<ClientOptions> = {}): Promise<Lobby> {
  const opened = await openLobby(options);
  const list = { type: "reply", ok: true, count: 2, members: [ANN, BOB] };
  for (const { id } of FakeWebSocket.last.commands) FakeWebSocket.last.deliver({ ...list, id });
  await settled();
  return opened;
}
