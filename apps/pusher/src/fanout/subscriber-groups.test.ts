import type { TemplatedApp } from "uWebSockets.js";
import { expect, test } from "vitest";
import { OPEN_GRANT } from "../auth/grant.ts";
import { type Connection, newConnectionState, type ProtocolName } from "../connections/connection.ts";
import { SetGroups, UwsGroupMembers, UwsTopicGroups } from "./subscriber-groups.ts";

function connection(protocol: ProtocolName = "fanwire.v1", onSend: () => number = () => 1) {
  const heard: string[] = [];
  const state = newConnectionState({ connectionId: 1, protocol, grant: OPEN_GRANT });
  const send = (frame: string | Uint8Array) => {
    heard.push(Buffer.from(frame).toString());
    return onSend();
  };
  return Object.assign({ getUserData: () => state, send } as unknown as Connection, { heard });
}

test("who is in a group hears what is published there, and nobody else", () => {
  const groups = new SetGroups();
  const [anna, bob, carol] = [connection(), connection(), connection()];
  groups.add("a", anna);
  groups.add("a", bob);
  groups.add("b", carol);

  groups.publish("a", "1", false);
  groups.publish("a", Buffer.from("2"), false, bob);
  groups.write("b", [Buffer.from("3"), Buffer.from("4")]);
  groups.publish("c", "5", false);

  expect([anna, bob, carol].map(({ heard }) => heard)).toEqual([["1", "2"], ["1"], ["3", "4"]]);
  expect(["a", "b", "c"].map((group) => groups.count(group))).toEqual([2, 1, 0]);
});

test("who has left or closed is in no group", () => {
  const groups = new SetGroups();
  const [anna, bob] = [connection(), connection()];
  for (const one of [anna, bob]) groups.add("a", one);

  groups.remove("a", anna);
  expect([groups.has("a", anna), groups.has("a", bob), groups.count("a"), groups.walked("a")]).toEqual([
    false,
    true,
    1,
    1,
  ]);
  groups.forget("a", bob);
  groups.forget("a", bob);
  expect([groups.has("a", bob), groups.count("a"), [...groups.members("a")]]).toEqual([false, 0, []]);
});

test("one that is ended by what it is sent is sent no more, and the others are", () => {
  const groups = new SetGroups();
  const slow = connection("sse", () => {
    groups.forget("a", slow);
    return 2;
  });
  const [first, last] = [connection(), connection()];
  for (const one of [first, slow, last]) groups.add("a", one);

  groups.write("a", [Buffer.from("1"), Buffer.from("2")]);
  groups.publish("a", "3", false);

  expect([first, slow, last].map(({ heard }) => heard)).toEqual([["1", "2", "3"], ["1"], ["1", "2", "3"]]);
});

test("the members of the raw protocol's groups are found among the connections of all protocols", () => {
  const isSubscribed = (group: string) => group === "a";
  const inTree = Object.assign(connection("raw"), { isSubscribed });
  const elsewhere = Object.assign(connection("raw"), { isSubscribed: () => false });
  const stream = connection("sse");
  const groups = new UwsTopicGroups({
    numSubscribers: (group: string) => Number(group === "a"),
  } as unknown as TemplatedApp);
  const members = new UwsGroupMembers(groups, { all: () => [inTree, elsewhere, stream], size: 3 });

  expect([...members.members("a")]).toEqual([inTree]);
  expect([members.count("a"), members.walked()]).toEqual([1, 3]);
});
