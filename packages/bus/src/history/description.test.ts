import type { StreamInfo } from "@nats-io/jetstream";
import { expect, test } from "vitest";
import { descriptionOf } from "./description.ts";
import { epochFrom } from "./epoch.ts";

const created = "2026-11-23T18:44:41.933123456Z";
const epoch = epochFrom(created);

function info({ config = {}, state = {}, cluster }: { config?: object; state?: object; cluster?: object }): StreamInfo {
  const facts = {
    created,
    config: { max_bytes: 1_000, max_age: 86_400_000_000_000, ...config },
    state: { messages: 3, bytes: 400, first_seq: 8, last_seq: 12, ...state },
    cluster,
  };
  return facts as unknown as StreamInfo; // the members that are read
}

test("a stream of one node has limits and positions, and no replicas", () => {
  expect(descriptionOf(info({}))).toEqual({
    messages: 3,
    bytes: 400,
    maxBytes: 1_000,
    maxAgeSeconds: 86_400,
    firstPosition: `${epoch}-8`,
    lastPosition: `${epoch}-12`,
    replicas: [],
  });
});

test("an empty stream has no first position, and limits that are off are null", () => {
  const empty = info({ config: { max_bytes: -1, max_age: 0 }, state: { messages: 0, first_seq: 13 } });

  expect(descriptionOf(empty)).toMatchObject({
    maxBytes: null,
    maxAgeSeconds: null,
    firstPosition: null,
    lastPosition: `${epoch}-12`,
  });
});

test("a replica that is offline is not current, whatever it was before", () => {
  const replicas = [
    { name: "b", current: true, active: 1 },
    { name: "c", current: true, offline: true, active: 1, lag: 7 },
    { name: "d", current: false, active: 1, lag: 2 },
  ];

  expect(descriptionOf(info({ cluster: { leader: "a", replicas } }))).toMatchObject({
    leader: "a",
    replicas: [
      { name: "b", isCurrent: true, lag: 0 },
      { name: "c", isCurrent: false, lag: 7 },
      { name: "d", isCurrent: false, lag: 2 },
    ],
  });
});
