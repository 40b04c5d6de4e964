import type { Presence, PresenceChange } from "../src/index.ts";
import { FakeWebSocket, type Recorded, record, settled } from "./fake-web-socket.ts";

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

/** Returns the changes of the members, without the map. */
export function recordChanges(presence: Presence): Change[] {
  const changes: Change[] = [];
  presence.on("change", ({ members: _members, ...change }) => changes.push(change));
  return changes;
}

/** Returns the codes of the errors with which the presence ends. */
export function recordEnds(presence: Presence): string[] {
  const codes: string[] = [];
  presence.on("end", ({ code }) => codes.push(code));
  return codes;
}

/** Returns a client that is present in the lobby, with the members of the first list. */
export async function enterLobby(
  members: readonly object[] = [ANN, BOB],
): Promise<Recorded & { readonly lobby: Presence; readonly changes: Change[] }> {
  const recorded = await record();
  FakeWebSocket.last.welcome();
  const lobby = recorded.client.presence("lobby");
  const changes = recordChanges(lobby);
  await settled();
  FakeWebSocket.last.reply("subscribe", { ok: true, count: members.length, members });
  await settled();
  return { ...recorded, lobby, changes };
}
