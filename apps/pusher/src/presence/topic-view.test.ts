import fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { MAX_LISTED } from "./members.ts";
import { TopicView } from "./topic-view.ts";

const LEAVE_MS = 3_000;
const WORKERS = ["w1", "w2", "w3"];
const USERS = ["a", "b", "c", "d"];

beforeEach(() => void vi.useFakeTimers({ toFake: ["performance"] }));
afterEach(() => void vi.useRealTimers());

/** A view with a client that knows its first list and all changes after it. */
function openView(leaveMs = LEAVE_MS) {
  const held: string[] = [];
  let bytes = 0;
  const view = new TopicView({
    topic: "room",
    leaveMs,
    onChange: () => {},
    onHold: (user) => held.push(user),
    onBytes: (change) => {
      bytes += change;
    },
  });
  const known = new Set<string>();
  return {
    view,
    known,
    bytes: () => bytes,
    takeChange: (isWhole = false) => {
      const change = view.takeChange(isWhole);
      for (const { user } of change?.joined ?? []) {
        expect(known.has(user), `${user} joined twice`).toBe(false);
        known.add(user);
      }
      for (const { user } of change?.left ?? []) expect(known.delete(user), `${user} left twice`).toBe(true);
      if (change) expect(change.count).toBe(known.size);
      expect(
        view
          .list(true)
          .members?.map(({ user }) => user)
          .sort(),
      ).toEqual([...known].sort());
      return change;
    },
    pass: (ms: number) => {
      vi.advanceTimersByTime(ms);
      for (const user of held) view.endHold(user);
    },
  };
}

test("list and changes always agree, and show the users of all workers when all holds are over", () => {
  const worker = fc.constantFrom(...WORKERS);
  const user = fc.constantFrom(...USERS);
  const step = fc.oneof(
    fc.record({ does: fc.constant("add" as const), worker, user }),
    fc.record({ does: fc.constant("claim" as const), worker, user }),
    fc.record({ does: fc.constant("remove" as const), worker, user }),
    fc.record({ does: fc.constant("drop" as const), worker }),
    fc.record({ does: fc.constant("replace" as const), worker, users: fc.subarray(USERS) }),
    fc.record({ does: fc.constant("pass" as const), ms: fc.integer({ min: 1, max: 4_000 }) }),
    fc.record({ does: fc.constant("take" as const) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.constantFrom(0, LEAVE_MS), (steps, leaveMs) => {
      const { view, known, bytes, takeChange, pass } = openView(leaveMs);
      /** The users of each worker: members, and those that claim a place, with their order. */
      const truth = new Map(WORKERS.map((each) => [each, new Map<string, number | "member">()]));
      let counter = 0;
      for (const each of steps) {
        counter++;
        const own = "worker" in each ? truth.get(each.worker) : undefined;
        if (each.does === "pass") pass(each.ms);
        else if (each.does === "take") takeChange();
        else if (each.does === "add") {
          view.apply(each.worker, counter, [{ user: each.user, since: counter }], []);
          own?.set(each.user, "member");
        } else if (each.does === "claim") {
          view.apply(each.worker, counter, [{ user: each.user, since: 0, claim: counter }], []);
          own?.set(each.user, counter);
        } else if (each.does === "remove") {
          view.apply(each.worker, counter, [], [each.user]);
          own?.delete(each.user);
        } else if (each.does === "drop") {
          view.drop(each.worker);
          own?.clear();
        } else {
          view.replace(each.worker, counter, new Map(each.users.map((name) => [name, { user: name, since: 0 }])));
          truth.set(each.worker, new Map(each.users.map((name) => [name, "member"])));
        }
      }
      pass(LEAVE_MS);
      takeChange();

      const all = [...truth.values()].flatMap((users) => [...users]);
      const present = new Set(all.flatMap(([name, claim]) => (claim === "member" ? name : [])));
      expect([...known].sort()).toEqual([...present].sort());
      expect(view.present).toBe(present.size);
      for (const [worker, users] of truth) expect(view.counterOf(worker) !== undefined).toBe(users.size > 0);
      const claiming = all
        .filter(([name]) => !present.has(name))
        .sort(([, one], [, other]) => Number(one) - Number(other));
      const free = USERS.length - 1 - present.size;
      const first = [...new Set(claiming.map(([name]) => name))].slice(0, Math.max(0, free));
      expect([...view.grantable(USERS.length - 1)].sort()).toEqual(first.sort());
      view.close();
      expect(bytes()).toBe(0);
    }),
    { numRuns: 2_000 },
  );
});

test("a member that returns within the hold-back is not shown as left, however often", () => {
  const { view, known, takeChange, pass } = openView();
  view.add("w1", { user: "a", since: 1 });
  takeChange();

  for (let at = 0; at < 5; at++) {
    view.remove(at % 2 === 0 ? "w1" : "w2", "a");
    pass(LEAVE_MS - 1);
    expect(view.takeChange()).toBeUndefined();
    view.add(at % 2 === 0 ? "w2" : "w1", { user: "a", since: 1 });
    pass(LEAVE_MS);
    expect(view.takeChange()).toBeUndefined();
  }
  expect(known).toEqual(new Set(["a"]));
});

test("the info is that of the connection that joined first", () => {
  const { view, takeChange } = openView();
  view.add("w2", { user: "a", since: 2, info: "second" });
  view.add("w1", { user: "a", since: 1, info: "first" });
  takeChange();
  expect(view.list(false).members).toEqual([{ user: "a", info: "first" }]);

  view.remove("w1", "a");
  expect(view.list(false).members).toEqual([{ user: "a", info: "second" }]);
  view.remove("w2", "a");
  expect(view.list(false).members).toEqual([{ user: "a", info: "second" }]);
});

test("a change lists a thousand members at most, and a list has no more unless all are wanted", () => {
  const { view } = openView();
  for (let at = 0; at <= MAX_LISTED; at++) view.add("w1", { user: `user-${at}`, since: at });

  expect(view.takeChange()).toMatchObject({ joined: { length: MAX_LISTED }, count: MAX_LISTED + 1, isPartial: true });
  expect(view.list(false)).toEqual({ count: MAX_LISTED + 1, members: undefined });
  expect(view.list(true).members).toHaveLength(MAX_LISTED + 1);
});

test("changes that have to name every user come one after the other", () => {
  const { view, known, takeChange } = openView(0);
  for (let at = 0; at < 1_200; at++) view.add("w1", { user: `user-${at}`, since: at });

  for (const count of [500, 1_000, 1_200]) {
    expect(takeChange(true)).toMatchObject({ count, isPartial: false });
    expect(view.hasChanges).toBe(count < 1_200);
    expect(known.size).toBe(count);
  }
  view.drop("w1");
  for (const count of [700, 200, 0]) expect(takeChange(true)).toMatchObject({ count, isPartial: false });
  expect(view.takeChange(true)).toBeUndefined();
});

test("claims are granted in their order, those of one order by age and worker, as far as there are places", () => {
  const { view } = openView();
  view.add("w1", { user: "member", since: 1 });
  view.add("w2", { user: "last", since: 5, claim: 20 });
  view.add("w1", { user: "third", since: 9, claim: 10 });
  view.add("w2", { user: "first", since: 8, claim: 10 });
  view.add("w0", { user: "second", since: 9, claim: 10 });

  for (const [places, users] of [[], ["first"], ["first", "second"], ["first", "second", "third"]].entries()) {
    expect([...view.grantable(places + 1)]).toEqual(users);
  }
  expect([...view.grantable(9)].at(-1)).toBe("last");
  const future = Date.now() + 60_000;
  view.add("w1", { user: "far", since: 1, claim: future });
  expect(view.nextOrder()).toBe(future + 1);
});

test("a view takes memory for names and info of its users, until they have left", () => {
  const bytesOf = (user: string, info?: unknown) => {
    const { view, bytes } = openView(0);
    view.add("w1", { user: "before", since: 1, info: "x".repeat(1_000) });
    for (const since of [1, 2]) view.add("w1", { user, since, ...(info !== undefined && { info }) });
    view.remove("w1", "before");
    const used = bytes();
    view.remove("w1", user);
    expect(bytes()).toBe(0);
    return used;
  };

  expect(bytesOf("annabell") - bytesOf("anna")).toBe(8);
  expect(bytesOf("anna", "x") - bytesOf("anna")).toBe(6);
});
