import type { TemplatedApp } from "uWebSockets.js";
import { expect, test } from "vitest";
import { type Connection, type Door, newConnectionState } from "./connection.ts";
import { OPEN_GRANT } from "./core/claims.ts";
import { MemberTrees, SocketTreeMembers, SocketTrees } from "./trees.ts";

function connection(door: Door = "fanwire.v1", onSend: () => number = () => 1) {
  const heard: string[] = [];
  const state = newConnectionState({ connectionId: 1, door, grant: OPEN_GRANT });
  const send = (frame: string | Uint8Array) => {
    heard.push(Buffer.from(frame).toString());
    return onSend();
  };
  return Object.assign({ getUserData: () => state, send } as unknown as Connection, { heard });
}

test("who is in a tree hears what is published there, and nobody else", () => {
  const trees = new MemberTrees();
  const [anna, bob, carol] = [connection(), connection(), connection()];
  trees.add("a", anna);
  trees.add("a", bob);
  trees.add("b", carol);

  trees.publish("a", "1", false);
  trees.publish("a", Buffer.from("2"), false, bob);
  trees.write("b", [Buffer.from("3"), Buffer.from("4")]);
  trees.publish("c", "5", false);

  expect([anna, bob, carol].map(({ heard }) => heard)).toEqual([["1", "2"], ["1"], ["3", "4"]]);
  expect(["a", "b", "c"].map((tree) => trees.count(tree))).toEqual([2, 1, 0]);
});

test("who has left or closed is in no tree", () => {
  const trees = new MemberTrees();
  const [anna, bob] = [connection(), connection()];
  for (const one of [anna, bob]) trees.add("a", one);

  trees.remove("a", anna);
  expect([trees.has("a", anna), trees.has("a", bob), trees.count("a"), trees.walked("a")]).toEqual([false, true, 1, 1]);
  trees.forget("a", bob);
  trees.forget("a", bob);
  expect([trees.has("a", bob), trees.count("a"), [...trees.members("a")]]).toEqual([false, 0, []]);
});

test("one that is ended by what it is sent is sent no more, and the others are", () => {
  const trees = new MemberTrees();
  const slow = connection("sse", () => {
    trees.forget("a", slow);
    return 2;
  });
  const [first, last] = [connection(), connection()];
  for (const one of [first, slow, last]) trees.add("a", one);

  trees.write("a", [Buffer.from("1"), Buffer.from("2")]);
  trees.publish("a", "3", false);

  expect([first, slow, last].map(({ heard }) => heard)).toEqual([["1", "2", "3"], ["1"], ["1", "2", "3"]]);
});

test("the members of the raw door's trees are found among the connections of all doors", () => {
  const isSubscribed = (tree: string) => tree === "a";
  const inTree = Object.assign(connection("raw"), { isSubscribed });
  const elsewhere = Object.assign(connection("raw"), { isSubscribed: () => false });
  const stream = connection("sse");
  const trees = new SocketTrees({ numSubscribers: (tree: string) => Number(tree === "a") } as unknown as TemplatedApp);
  const members = new SocketTreeMembers(trees, { all: () => [inTree, elsewhere, stream], size: 3 });

  expect([...members.members("a")]).toEqual([inTree]);
  expect([members.count("a"), members.walked()]).toEqual([1, 3]);
});
