import { expect, test } from "vitest";
import type { Connection } from "../connections/connection.ts";
import { Connections } from "../connections/connections.ts";
import type { SharedSubscriptions } from "../hub/shared-subscriptions.ts";
import { Lists } from "./lists.ts";

const WORKER = "k3v9q0xa";
const ROOM = 1_000_000;

/** Connections that must not be used after they have closed, as those of uWebSockets.js. */
function startLists(count: number) {
  const connections = new Connections<Connection>();
  const open = (id: number) => {
    const alive = <Value>(value: Value) => {
      if (connections.get(id) === undefined) throw new Error("used after it was closed");
      return value;
    };
    const state = {
      connectionId: id,
      protocol: { name: "raw" },
      openedAt: 1,
      grant: { user: "anna" },
      topics: `t${id % 3}`,
    };
    const connection = {
      getUserData: () => alive(state),
      getBufferedAmount: () => alive(id % 5),
      getRemoteAddressAsText: () => alive(Buffer.from("10.0.0.1")),
    };
    connections.open(id, connection as unknown as Connection); // the members that lists read
  };
  for (let id = 1; id <= count; id++) open(id);
  const lists = new Lists({
    workerId: WORKER,
    connections,
    hub: {
      subscriptions: { ofTopic: () => ({}), size: 0, all: () => [] } as unknown as SharedSubscriptions,
      addressOf: (connection) => `${WORKER}.${connection.getUserData().connectionId}`,
      unsentBytesOf: (connection) => connection.getBufferedAmount(),
      connectionsOfUser: (user) => (user === "anna" ? [...connections.all()] : []),
    },
  });
  return { lists, connections, open };
}

test.each([{}, { user: "anna" }, { search: "10.0" }, { topic: "t1" }, { protocol: "raw", search: WORKER }])(
  "connections that close while %o is listed are not used",
  async (filter) => {
    const { lists, connections, open } = startLists(3_000);
    let closed = 0;
    const churn = setInterval(() => {
      for (let each = 0; each < 50; each++) {
        closed++;
        connections.close(closed);
        open(3_000 + closed);
      }
    }, 0);

    for (let round = 0; round < 5; round++) {
      const page = await lists.connections({ ...filter, limit: 200 }, ROOM);
      expect(page.connections.length).toBe(200);
      const busiest = await lists.busiestConnections({ ...filter, limit: 200 }, ROOM);
      expect(busiest.places).toHaveLength(busiest.connections.length);
      await lists.unsentBytes();
    }
    clearInterval(churn);
  },
);

test("a page ends where the bytes of a reply end, with at least one connection", async () => {
  const { lists } = startLists(10);

  expect(await lists.connections({ limit: 5 }, 1)).toMatchObject({
    connections: { length: 1 },
    hasMore: true,
    total: 10,
  });
  expect(await lists.connections({ limit: 5 }, 400)).toMatchObject({ connections: { length: 2 }, hasMore: true });
  expect(await lists.busiestConnections({ limit: 5 }, 400)).toMatchObject({
    connections: [{ unsentBytes: 4 }, { unsentBytes: 4 }],
    hasMore: true,
    end: { unsentBytes: 4, topics: 1, address: `${WORKER}.9` },
  });
  expect(await lists.connections({ limit: 5, after: `${WORKER}.8` }, ROOM)).toMatchObject({
    connections: [{ address: `${WORKER}.9` }, { address: `${WORKER}.10` }],
    hasMore: false,
  });
});
