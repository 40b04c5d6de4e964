import { expect, test } from "vitest";
import { finish } from "../pacing/finish.testing.ts";
import { membersPage, namesOfTopics, namesPage } from "./member-pages.ts";

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
  finish(namesOfTopics({ command: "member-names-of", topics }, presence, { worker: "w", maxBytes })).result.users;

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

test("pages have all members, sorted by user, and none twice", () => {
  const all = (members.get("huge") ?? []).toSorted();
  const byName: string[] = [];
  const byMember: string[] = [];
  const page = { worker: "w", maxBytes: 20_000 };

  for (let hasMore = true; hasMore; ) {
    const request = { command: "member-names", topic: "huge", after: byName.at(-1) } as const;
    const { result } = finish(namesPage(request, presence, page));
    byName.push(...result.users);
    hasMore = result.hasMore;
  }
  for (let hasMore = true; hasMore; ) {
    const request = { command: "members", topic: "huge", after: byMember.at(-1), limit: 1_000 } as const;
    const { result } = finish(membersPage(request, presence, page));
    byMember.push(...result.members.map(({ user }) => user));
    hasMore = result.hasMore;
  }

  expect(byName).toEqual(all);
  expect(byMember).toEqual(all);
  const { result } = finish(membersPage({ command: "members", topic: "one", limit: 0 }, presence, page));
  expect(result).toEqual({ worker: "w", members: [], hasMore: true });
});

test("a page of ten thousand members takes many steps, so that it blocks nothing", () => {
  const page = { worker: "w", maxBytes: 1_000_000 };
  const steps = [
    finish(membersPage({ command: "members", topic: "huge" }, presence, page)),
    finish(namesPage({ command: "member-names", topic: "huge" }, presence, page)),
    finish(namesOfTopics({ command: "member-names-of", topics: ["huge"] }, presence, page)),
  ].map((finished) => finished.steps);

  expect(Math.min(...steps)).toBeGreaterThan(30);
});
