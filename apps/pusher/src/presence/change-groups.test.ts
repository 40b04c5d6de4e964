import { setImmediate as nextTick } from "node:timers/promises";
import { expect, test } from "vitest";
import type { Connection } from "../connections/connection.ts";
import type { ProtocolGroups } from "../fanout/subscriber-groups.ts";
import { ChangeGroups } from "./change-groups.ts";

const CONNECTIONS = 3_000;

test.each([
  ["few users to a thousand connections", 100, 1_000],
  ["many users to two hundred connections", 101, 200],
])("one tick writes a change of %s", async (_, users, perTick) => {
  const sizes = new Map<number, number>();
  let written = 0;
  let lastId = 0;
  const group = { add: (id: number) => sizes.set(id, (sizes.get(id) ?? 0) + 1) };
  const groups = new ChangeGroups({
    groups: { of: () => group } as unknown as ProtocolGroups,
    fanout: {
      flushTo() {},
      writePresence: (id) => {
        written += sizes.get(id) ?? 0;
      },
    },
    nextId: () => {
      lastId++;
      return lastId;
    },
  });
  for (let at = 0; at < CONNECTIONS; at++) groups.add({} as Connection);
  const joined = Array.from({ length: users }, (_each, at) => ({ user: `user-${at}`, info: undefined }));
  let isWritten = false;

  groups.write({ topic: "room", joined, left: [], count: users, isPartial: false }, () => {
    isWritten = true;
  });

  for (let ticks = 1; ticks <= CONNECTIONS / perTick; ticks++) {
    expect([written, isWritten]).toEqual([ticks * perTick, ticks * perTick === CONNECTIONS]);
    await nextTick();
  }
});
