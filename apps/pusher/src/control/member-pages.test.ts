import { expect, test } from "vitest";
import { namesOfTopics } from "./member-pages.ts";

const members = new Map([
  ["one", ["a", "b"]],
  ["other", ["c"]],
  ["large", Array.from({ length: 40 }, (_, at) => `user-${at}`)],
  ["huge", Array.from({ length: 10_000 }, (_, at) => `user-${at}`)],
]);
let listed = 0;
const presence = {
  countMembers: (topic: string) => members.get(topic)?.length ?? 0,
  members: (topic: string) => {
    listed++;
    return (members.get(topic) ?? []).map((user) => ({ user, info: undefined, since: 0, connections: 1 }));
  },
};
const names = (maxBytes: number, ...topics: [string, ...string[]]) =>
  namesOfTopics({ command: "member-names-of", topics }, presence, { worker: "w", maxBytes }).users;

test("a reply has the users of as many topics as there is room for, at least of one", () => {
  expect(names(1_000, "one", "none", "other")).toEqual([["a", "b"], [], ["c"]]);
  expect(names(16, "one", "none", "other")).toEqual([["a", "b"], []]);
  expect(names(9, "one", "other")).toEqual([["a", "b"]]);
});

test("a topic with more users than fit is null, and a very large one is not listed", () => {
  expect(names(100, "large", "one")).toEqual([null, ["a", "b"]]);
  listed = 0;
  expect(names(100, "huge")).toEqual([null]);
  expect(listed).toBe(0);
});
