import { OPEN_GRANT } from "@fanwire/tokens";
import { expect, test } from "vitest";
import type { ClientProtocol } from "../connections/client-protocol.ts";
import { type Connection, newConnectionState } from "../connections/connection.ts";
import { clientProtocols } from "../protocols/client-protocols.ts";
import { raw } from "../protocols/raw.ts";
import { sse } from "../protocols/sse.ts";
import { ProtocolGroups, SetGroups, UwsTopicGroups, type UwsTopics } from "./subscriber-groups.ts";

const A = 1;
const B = 2;
const C = 3;
const NO_TOPICS: UwsTopics = { numSubscribers: () => 0, publish: () => {} };

function connection(protocol: ClientProtocol = sse, onSend: () => number = () => 1) {
  const received: string[] = [];
  const state = newConnectionState({ connectionId: 1, protocol, grant: OPEN_GRANT });
  const send = (frame: string | Uint8Array) => {
    received.push(Buffer.from(frame).toString());
    return onSend();
  };
  return Object.assign({ getUserData: () => state, send } as unknown as Connection, { received });
}

test("all members of a group receive what is published to it, except one", () => {
  const groups = new SetGroups();
  const [anna, bob, carol] = [connection(), connection(), connection()];
  groups.add(A, anna);
  groups.add(A, bob);
  groups.add(B, carol);

  groups.publish(A, "1", false);
  groups.publish(A, Buffer.from("2"), false, bob);
  groups.publish(C, "3", false);

  expect([anna, bob, carol].map(({ received }) => received)).toEqual([["1", "2"], ["1"], []]);
  expect([A, B, C].map((groupId) => groups.count(groupId))).toEqual([2, 1, 0]);
});

test("a connection that has left or closed is in no group", () => {
  const groups = new SetGroups();
  const [anna, bob] = [connection(), connection()];
  for (const one of [anna, bob]) groups.add(A, one);

  groups.remove(A, anna);
  expect([groups.has(A, anna), groups.has(A, bob), groups.count(A), groups.walked(A)]).toEqual([false, true, 1, 1]);
  groups.forget(A, bob);
  groups.forget(A, bob);
  expect([groups.has(A, bob), groups.count(A), [...groups.members(A)]]).toEqual([false, 0, []]);
});

test("a member that a write closes is not written to again, and the others are", () => {
  const groups = new SetGroups();
  const slow = connection(sse, () => {
    groups.forget(A, slow);
    return 2;
  });
  const [first, last] = [connection(), connection()];
  for (const one of [first, slow, last]) groups.add(A, one);

  groups.publish(A, "1", false);
  groups.publish(A, "2", false);

  expect([first, slow, last].map(({ received }) => received)).toEqual([["1", "2"], ["1"], ["1", "2"]]);
});

test("the members of a topic of uWebSockets.js are found among the connections of all protocols", () => {
  const isSubscribed = (topic: string) => topic === `0.${A}`;
  const member = Object.assign(connection(raw), { isSubscribed });
  const elsewhere = Object.assign(connection(raw), { isSubscribed: () => false });
  const stream = connection(sse);
  const groups = new UwsTopicGroups({
    topics: { numSubscribers: (topic) => Number(topic === `0.${A}`), publish: () => {} },
    protocol: raw,
    connections: { all: () => [member, elsewhere, stream], size: 3 },
    prefix: 0,
  });

  expect([...groups.members(A)]).toEqual([member]);
  expect([groups.count(A), groups.count(B), groups.walked()]).toEqual([1, 0, 3]);
});

test("a connection enters the groups of its encoding", () => {
  const groups = new ProtocolGroups(clientProtocols, NO_TOPICS, { all: () => [], size: 0 });
  const stream = connection(sse);
  const [plain, copies] = sse.encodings.map((encoding) => groups.ofEncoding(encoding));

  expect(groups.of(stream)).toBe(plain);
  stream.getUserData().hasCopies = true;
  expect(groups.of(stream)).toBe(copies);
  expect(plain).not.toBe(copies);
});

test("protocols that are not in the list have no groups", () => {
  const groups = new ProtocolGroups([raw], NO_TOPICS, { all: () => [], size: 0 });

  expect(() => groups.of(connection(sse))).toThrow("the protocol is not in the list of protocols");
});
