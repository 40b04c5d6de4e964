import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { useFakeTime } from "../test-data/fake-time.ts";
import { FakeWebSocket, reconnected, record, settled } from "../test-data/fake-web-socket.ts";

useFakeTime();

const USERS = ["a", "b", "c", "__proto__"];
const LIMIT = 3;

/** A worker that holds back what it sends until `arrive`, so that a connection may break anywhere. */
class PresenceWorker {
  readonly #socket = FakeWebSocket.last;
  readonly #wire: object[] = [];
  readonly #members: Set<string>;
  #isPresent = false;
  #commandsRead = 0;

  constructor(members: Set<string>) {
    this.#members = members;
    this.#wire.push({ type: "welcome", connection: "a.1", recovered: null });
  }

  readCommands(): void {
    const commands = this.#socket.commands.slice(this.#commandsRead);
    this.#commandsRead += commands.length;
    for (const { id, presence } of commands) {
      const members = [...this.#members].map((user) => ({ user }));
      const isListed = members.length < LIMIT;
      if (presence) this.#isPresent = true;
      const list = presence ? { count: members.length, ...(isListed && { members }) } : {};
      this.#wire.push({ type: "reply", id, ok: true, ...list });
    }
  }

  change(user: string, isPartial: boolean): void {
    const isJoin = !this.#members.delete(user);
    if (isJoin) this.#members.add(user);
    if (!this.#isPresent) return;
    const names = isJoin ? { joined: [{ user }], left: [] } : { joined: [], left: [user] };
    const sent = isPartial ? { joined: [], left: [], partial: true } : names;
    this.#wire.push({ type: "presence", topic: "t", ...sent, count: this.#members.size });
  }

  arrive(count: number): void {
    const messages = this.#wire.splice(0, count);
    if (messages.length > 0) this.#socket.deliver(...messages);
  }
}

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("change" as const), user: fc.constantFrom(...USERS) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("partial" as const), user: fc.constantFrom(...USERS) }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("arrive" as const), count: fc.integer({ min: 1, max: 4 }) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("read" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("drop" as const) }) },
);

test("wherever connections break, a complete list is the worker's, and the changes add up to it", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 80 }), async (steps) => {
      const { client } = await record();
      const members = new Set<string>();
      let worker = new PresenceWorker(members);
      const presence = client.presence("t");
      let shown: Set<string> | undefined;
      presence.on("change", ({ joined, left, members: listed, count }) => {
        const names = new Set(listed.keys());
        // A page that shows the changes shows the members too, as long as the list is complete.
        for (const { user } of joined) shown?.add(user);
        for (const user of left) shown?.delete(user);
        if (presence.isComplete && shown !== undefined) expect(shown).toEqual(names);
        if (presence.isComplete) expect(names.size).toBe(count);
        shown = presence.isComplete ? names : undefined;
      });
      for (const each of steps) {
        if (each.kind === "change") worker.change(each.user, false);
        else if (each.kind === "partial") worker.change(each.user, true);
        else if (each.kind === "arrive") worker.arrive(each.count);
        else if (each.kind === "read") worker.readCommands();
        else {
          FakeWebSocket.last.end();
          await reconnected();
          worker = new PresenceWorker(members);
        }
        await settled();
      }
      for (let turn = 0; turn < 30; turn++) {
        worker.arrive(10);
        await vi.advanceTimersByTimeAsync(1_000);
        worker.readCommands();
      }

      expect(presence.count).toBe(members.size);
      if (members.size < LIMIT) expect(presence.isComplete).toBe(true);
      if (presence.isComplete) expect(new Set(presence.members.keys())).toEqual(members);
      else expect(presence.members.size).toBe(0);
      expect(presence.isCurrent).toBe(true);
      client.close();
      await settled();
    }),
    { numRuns: 500 },
  );
});
