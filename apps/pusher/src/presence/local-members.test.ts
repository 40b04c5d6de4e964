import { expect, test, vi } from "vitest";
import { HeldLeaves } from "./held-leaves.ts";
import { LimitedJoins } from "./limited-joins.ts";
import { LocalMembers } from "./local-members.ts";
import type { Join } from "./present-topic.ts";

const member = (user: string, info?: unknown) => ({ user, info });

test("a user is present with the info of the first connection, until the last one leaves", () => {
  const locals = new LocalMembers();
  for (const id of [1, 2]) locals.add(id, member("anna", `of ${id}`));
  locals.add(3, member("aaron"));

  expect(locals.present("anna")).toMatchObject({ user: "anna", info: "of 1", since: expect.any(Number) });
  expect([...locals.members()]).toMatchObject([
    { user: "anna", info: "of 1", connections: 2 },
    { user: "aaron", connections: 1 },
  ]);
  locals.remove(1, "anna");
  expect([locals.present("anna")?.info, locals.size]).toEqual(["of 2", 2]);
  locals.remove(2, "anna");
  expect([locals.has("anna"), locals.present("anna"), locals.isEmpty]).toEqual([false, undefined, false]);
  expect(locals.present("aaron")).not.toHaveProperty("info");
});

test("a claim is present with its order but no member, once for all connections of a user, until one of them joins", () => {
  const locals = new LocalMembers();

  expect(locals.claim(1, member("anna"), () => 7)).toBe(true);
  expect(locals.claim(2, member("anna"), () => 8)).toBe(false);
  expect([locals.size, locals.isEmpty, [...locals.members()]]).toEqual([0, false, []]);
  expect([...locals.presentUsers()]).toMatchObject([{ user: "anna", claim: 7 }]);

  locals.add(1, member("anna"));
  expect(locals.present("anna")).not.toHaveProperty("claim");
  locals.remove(1, "anna");
  expect(locals.present("anna")).toMatchObject({ claim: 7 });
  locals.remove(2, "anna");
  expect(locals.isEmpty).toBe(true);
});

test("a join over the limit withdraws its claim and is refused, and a grantable one enters", async () => {
  const locals = new LocalMembers();
  const happened: string[] = [];
  const limited = new LimitedJoins({
    fence: (join) => happened.push(`fence ${join.member.user}`),
    updateLocal: (_topic, user) => happened.push(`update ${user}`),
    makeMember: (join) => happened.push(`enter ${join.member.user}`),
    refuse: (join) => happened.push(`refuse ${join.member.user}`),
  });
  const joins = new Set<Join>();
  const view = {
    nextOrder: () => 1,
    grantable: () => new Set(["first"]),
    isPresent: (user: string) => user === "known",
  };
  const join = (connectionId: number, user: string) =>
    // The rest of a join and of a topic has nothing to do with limits.
    ({ connectionId, member: member(user), topic: { locals, view, joins } }) as unknown as Join;
  const all = [join(1, "first"), join(2, "late"), join(3, "known"), join(4, "left")];
  for (const each of all) limited.claim(each, 1);
  for (const each of all.slice(0, 3)) joins.add(each);
  happened.length = 0;

  limited.decide(all);

  await vi.waitUntil(() => happened.length >= 4);
  expect(happened).toEqual(["enter first", "update late", "refuse late", "enter known"]);
  expect(["first", "late", "known"].map((user) => locals.present(user) !== undefined)).toEqual([true, false, true]);
  expect(all.map(({ claimed }) => claimed)).toEqual([1, undefined, 1, 1]);
});

test("held leaves end in their order when their time is over", () => {
  const ended: string[] = [];
  const view = { endHold: (user: string) => void ended.push(user) };
  const now = new HeldLeaves<typeof view>(0);
  const later = new HeldLeaves<typeof view>(60_000);

  for (const user of ["a", "b", "c"]) {
    now.hold(view, user);
    later.hold(view, user);
  }
  for (const held of [now, later, now]) held.endExpired();
  now.hold(view, "d");
  now.endExpired();

  expect(ended).toEqual(["a", "b", "c", "d"]);
});
