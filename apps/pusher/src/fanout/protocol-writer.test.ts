import { setImmediate as endOfTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import type { Connection } from "../connections/connection.ts";
import { DirectWrites, writeJoined } from "./direct-writes.ts";
import { FrameBatcher, fanwireJoining } from "./frame-batcher.ts";
import { ProtocolWriter } from "./protocol-writer.ts";

/** An outlet and what it wrote: to groups, to connections by their name, or to all of a group but one; with laggards also who was caught up. */
function recorded({ withLaggards = false } = {}) {
  const written: [to: string, frame: string][] = [];
  const writer = {
    write: (group: string, frames: readonly Uint8Array[]) =>
      written.push(...frames.map((frame): [string, string] => [group, Buffer.from(frame).toString()])),
  };
  const laggards = {
    catchUp: (connection: Pick<Connection, "send">) => void connection.send("caught up"),
    catchUpAll: () => void written.push(["all", "caught up"]),
    forget: (connection: Pick<Connection, "send">) => void connection.send("forgotten"),
  };
  const joined = new Map<Connection, readonly string[]>();
  const names = new Map<Connection, string>();
  const outlet = new ProtocolWriter({
    groups: {
      has: (group, connection) => joined.get(connection)?.includes(group) ?? false,
      publish: (group, frame, _isBinary, except) =>
        void written.push([`${group} but ${except && names.get(except)}`, frame.toString()]),
    },
    gathered: new FrameBatcher(writer, fanwireJoining),
    own: new DirectWrites(writeJoined(fanwireJoining)),
    ...(withLaggards && { laggards }),
  });
  const connection = (name: string, ...groups: string[]) => {
    const made = {
      send: (frame: string | Uint8Array) => {
        written.push([name, frame.toString()]);
        return 1;
      },
    } as unknown as Connection;
    joined.set(made, groups);
    names.set(made, name);
    return made;
  };
  return { outlet, written, connection };
}

test("what is for groups and for single connections leaves in the order in which it came", async () => {
  const { outlet, written, connection } = recorded();
  const [anna, bob] = [connection("anna", "a"), connection("bob")];
  const group = { group: "a", members: 3 };

  const handed = [
    outlet.hand("1", group, undefined),
    outlet.hand("2", group, bob),
    outlet.hand("3", { only: anna }, undefined),
    outlet.hand("4", { only: bob }, undefined),
    outlet.hand("5", { only: anna }, bob),
    outlet.hand("6", group, undefined),
  ];

  await endOfTurn();
  expect(handed).toEqual([3, 3, 1, 1, 1, 3]);
  expect(written).toEqual([
    ["a", "1\n2"],
    ["anna", "3\n5"],
    ["bob", "4"],
    ["a", "6"],
  ]);
});

test("the excepted connection gets nothing, and all others what came before it first", () => {
  const { outlet, written, connection } = recorded();
  const anna = connection("anna", "a");
  const group = { group: "a", members: 3 };

  const handed = [
    outlet.hand("1", { only: anna }, anna),
    outlet.hand("2", { only: anna }, undefined),
    outlet.hand("3", group, anna),
    outlet.hand("4", group, undefined),
  ];
  outlet.flush();

  expect(handed).toEqual([0, 1, 2, 3]);
  expect(written).toEqual([
    ["anna", "2"],
    ["a but anna", "3"],
    ["a", "4"],
  ]);
});

test("what waits for a connection that closes is dropped", async () => {
  const { outlet, written, connection } = recorded();
  const [anna, bob] = [connection("anna"), connection("bob")];
  for (const only of [anna, bob]) outlet.hand("1", { only }, undefined);

  outlet.forget(anna);

  await endOfTurn();
  expect(written).toEqual([["bob", "1"]]);
});

test("who lags is caught up before it is written to alone, and all are before others than a group is written to", () => {
  const { outlet, written, connection } = recorded({ withLaggards: true });
  const anna = connection("anna", "a");
  const group = { group: "a", members: 3 };

  outlet.hand("1", group, undefined);
  outlet.hand("2", { only: anna }, undefined);
  outlet.hand("3", group, anna);
  outlet.hand("4", group, undefined);
  outlet.flush();
  outlet.flushTo(anna);
  outlet.forget(anna);

  expect(written).toEqual([
    ["a", "1"],
    ["anna", "caught up"],
    ["anna", "2"],
    ["all", "caught up"],
    ["a but anna", "3"],
    ["a", "4"],
    ["anna", "caught up"],
    ["anna", "forgotten"],
  ]);
});
