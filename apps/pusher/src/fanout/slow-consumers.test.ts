import fc from "fast-check";
import { expect, test } from "vitest";
import { SlowConsumerBuffer } from "./slow-consumers.ts";

const OVER = 2;
const TAKEN = 1;
const BUFFERED = 0;

/**
 * A WebSocket in a group, as uWebSockets.js has them: its socket takes `room` frames. Then it is full, and what is sent to it is
 * buffered, up to a limit.
 */
class FakeSocket {
  readonly heard: string[] = [];
  /** It was sent something over its limit, which is lost: it is being ended. */
  isOver = false;
  readonly #buffered: string[] = [];
  room: number;
  readonly group: string;
  readonly #limit: number;

  constructor(group: string, { room = 1_000, limit = 1_000 } = {}) {
    this.group = group;
    this.room = room;
    this.#limit = limit;
  }

  cork(writing: () => void): void {
    writing();
  }

  getBufferedAmount(): number {
    return this.#buffered.length;
  }

  send(frame: string | Uint8Array): number {
    if (this.#buffered.length >= this.#limit) {
      this.isOver = true;
      return OVER;
    }
    this.#buffered.push(frame.toString());
    this.flush();
    return this.#buffered.length === 0 ? TAKEN : BUFFERED;
  }

  /** Its reader takes `frames`, and so the socket does. */
  read(frames: number): void {
    this.room += frames;
    this.flush();
  }

  flush(): void {
    for (; this.room > 0 && this.#buffered.length > 0; this.room--) this.heard.push(this.#buffered.shift() ?? "");
  }
}

function sharedBy(sockets: readonly FakeSocket[], maxBytes = 1_000_000) {
  const members = (name: string) => sockets.filter(({ group }) => group === name);
  const groups = { members, count: (group: string) => members(group).length, walked: () => sockets.length };
  const shared = new SlowConsumerBuffer({ groups, maxBytes });
  const leftToTree: string[] = [];
  /** Several are a burst. */
  const publish = (group: string, ...texts: string[]) => {
    if (shared.takes(group, texts.length > 1)) {
      const corkfuls = texts.map((text) => [{ content: Buffer.from(text), isBinary: false }]);
      shared.write(group, corkfuls);
      return;
    }
    leftToTree.push(...texts);
    for (const socket of members(group)) for (const text of texts) socket.send(text);
  };
  return { shared, publish, leftToTree };
}

test("what is no burst is left to the group, and so is a burst for a few among many", () => {
  const { publish, leftToTree } = sharedBy([
    new FakeSocket("a"),
    ...Array.from({ length: 9 }, () => new FakeSocket("b")),
  ]);

  publish("b", "1");
  publish("a", "2", "3");

  expect(leftToTree).toEqual(["1", "2", "3"]);
});

test("a burst is written to each who follows, and to nobody else", () => {
  const subscribers = [new FakeSocket("a"), new FakeSocket("a")];
  const other = new FakeSocket("b");
  const { shared, publish, leftToTree } = sharedBy([...subscribers, other]);

  publish("a", "1", "2");

  expect(subscribers.map(({ heard }) => heard)).toEqual([
    ["1", "2"],
    ["1", "2"],
  ]);
  expect(other.heard).toEqual([]);
  expect(leftToTree).toEqual([]);
  expect([shared.slowConsumers, shared.bytes]).toEqual([0, 0]);
});

test("who cannot take all is sent no more until its socket has drained, and then the rest in order", () => {
  const [slow, quick] = [new FakeSocket("a", { room: 1 }), new FakeSocket("a")];
  const { shared, publish } = sharedBy([slow, quick]);

  publish("a", "1", "2", "3");
  publish("a", "4", "5");

  expect(quick.heard).toEqual(["1", "2", "3", "4", "5"]);
  expect(slow.heard).toEqual(["1"]);
  expect([slow.getBufferedAmount(), shared.waitingFor(slow), shared.slowConsumers, shared.bytes]).toEqual([1, 3, 1, 3]);
  slow.read(2);
  shared.drained(slow);
  expect(slow.heard).toEqual(["1", "2", "3"]);
  expect([slow.getBufferedAmount(), shared.waitingFor(slow)]).toEqual([1, 1]);
  slow.read(10);
  shared.drained(slow);
  expect(slow.heard).toEqual(["1", "2", "3", "4", "5"]);
  expect([shared.slowConsumers, shared.bytes]).toEqual([0, 0]);
});

test("one whose socket has room again, but holds some still, is not sent more", () => {
  const slow = new FakeSocket("a", { room: 0 });
  const { shared, publish } = sharedBy([slow]);
  publish("a", "1", "2");

  shared.drained(slow);

  expect([slow.getBufferedAmount(), shared.waitingFor(slow)]).toEqual([1, 1]);
});

test("what nobody waits for any more is not kept", () => {
  const [slow, slower] = [new FakeSocket("a", { room: 0 }), new FakeSocket("a", { room: 0 })];
  const { shared, publish } = sharedBy([slow, slower]);
  publish("a", "1", "22");
  publish("a", "333", "4444");
  expect(shared.bytes).toBe(9);

  for (const socket of [slow, slower]) {
    socket.read(3);
    shared.drained(socket);
  }
  publish("a", "55555", "666666");
  expect(shared.bytes).toBe(11);

  shared.forget(slow);
  expect(shared.slowConsumers).toBe(1);
  shared.forget(slower);
  expect([shared.slowConsumers, shared.bytes]).toEqual([0, 0]);
});

test("a frame for another group comes behind what waits", () => {
  const both = new FakeSocket("a", { room: 0 });
  const { shared, publish, leftToTree } = sharedBy([both]);
  publish("a", "1", "2", "3");

  publish("b", "other");

  expect(leftToTree).toEqual(["other"]);
  expect(shared.slowConsumers).toBe(0);
  both.read(10);
  expect(both.heard).toEqual(["1", "2", "3"]);
});

test("what comes alone behind a burst is shared while many lag, and left to the group when few do", () => {
  const sockets = Array.from({ length: 8 }, (_, at) => new FakeSocket("a", { room: at < 2 ? 0 : 1_000 }));
  const { shared, publish, leftToTree } = sharedBy(sockets);
  publish("a", "1", "2");

  publish("a", "3");
  expect([leftToTree, shared.slowConsumers]).toEqual([[], 2]);

  sockets[0]?.read(10);
  shared.drained(sockets[0] as FakeSocket);
  publish("a", "4");
  expect([leftToTree, shared.slowConsumers]).toEqual([["4"], 0]);
  for (const socket of sockets) {
    socket.read(10);
    expect(socket.heard).toEqual(["1", "2", "3", "4"]);
  }
});

test("catching up hands over all that waits, for one or for all", () => {
  const [one, other, third] = [0, 0, 0].map((room) => new FakeSocket("a", { room })) as [
    FakeSocket,
    FakeSocket,
    FakeSocket,
  ];
  const { shared, publish } = sharedBy([one, other, third]);
  publish("a", "1", "2", "3");

  shared.catchUp(one);
  expect([one, other].map((socket) => socket.getBufferedAmount())).toEqual([3, 1]);
  expect(shared.slowConsumers).toBe(2);

  shared.catchUpAll();
  expect([other, third].map((socket) => socket.getBufferedAmount())).toEqual([3, 3]);
  expect([shared.slowConsumers, shared.bytes]).toEqual([0, 0]);
});

test("for who lags too far it is handed over, and who is over its limit then gets no more", () => {
  const [far, quick] = [new FakeSocket("a", { room: 0, limit: 2 }), new FakeSocket("a")];
  const { shared, publish } = sharedBy([far, quick], 10);
  publish("a", "12345", "12345", "12345");
  expect([far.getBufferedAmount(), shared.waitingFor(far)]).toEqual([1, 10]);

  publish("a", "6", "7");

  expect([far.getBufferedAmount(), shared.slowConsumers, shared.bytes]).toEqual([2, 0, 0]);
  expect(quick.heard).toEqual(["12345", "12345", "12345", "6", "7"]);
  publish("a", "8", "9");
  expect([far.getBufferedAmount(), shared.slowConsumers]).toEqual([2, 0]);
});

test("one that closes while it is written to is not written to again", () => {
  const [slow, quick] = [new FakeSocket("a", { room: 0 }), new FakeSocket("a")];
  const { shared, publish } = sharedBy([slow, quick]);
  publish("a", "1", "2");

  shared.forget(slow);
  slow.read(10);
  shared.drained(slow);

  expect(slow.heard).toEqual(["1"]);
});

test("one that lags too far takes nothing from one that begins to lag in the same burst", () => {
  const [far, later] = [new FakeSocket("a", { room: 0, limit: 2 }), new FakeSocket("a", { room: 4 })];
  const { shared, publish } = sharedBy([far, later], 10);
  publish("a", "12345", "12345", "12345");

  publish("a", "6", "7", "8", "9");

  expect([far.getBufferedAmount(), later.getBufferedAmount(), shared.waitingFor(later)]).toEqual([2, 1, 2]);
  later.read(10);
  shared.drained(later);
  expect(later.heard).toEqual(["12345", "12345", "12345", "6", "7", "8", "9"]);
});

test("whoever reads at whatever pace hears all that was published, once and in order, until it is over its limit", () => {
  const step = fc.oneof(
    fc.record({ group: fc.constantFrom("a", "b"), count: fc.integer({ min: 1, max: 5 }) }),
    fc.record({ reads: fc.nat({ max: 7 }), frames: fc.integer({ min: 1, max: 6 }) }),
    fc.record({ catchesUp: fc.nat({ max: 7 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1, max: 30 }), (steps, maxBytes) => {
      const sockets = Array.from({ length: 8 }, (_, at) => new FakeSocket(at < 6 ? "a" : "b", { room: at, limit: 5 }));
      const { shared, publish } = sharedBy(sockets, maxBytes);
      const published: Record<string, string[]> = { a: [], b: [] };
      for (const each of steps) {
        if ("group" in each) {
          const texts = Array.from({ length: each.count }, (_, at) => `${published[each.group]?.length ?? 0} ${at}`);
          published[each.group]?.push(...texts);
          publish(each.group, ...texts);
        } else if ("reads" in each) {
          const socket = sockets[each.reads] as FakeSocket;
          socket.read(each.frames);
          shared.drained(socket);
        } else {
          shared.catchUp(sockets[each.catchesUp] as FakeSocket);
        }
      }

      for (const socket of sockets) {
        while (socket.getBufferedAmount() > 0) {
          socket.read(100);
          shared.drained(socket);
        }
        const all = published[socket.group] ?? [];
        expect(socket.heard).toEqual(socket.isOver ? all.filter((text) => socket.heard.includes(text)) : all);
      }
      expect([shared.slowConsumers, shared.bytes]).toEqual([0, 0]);
    }),
    { numRuns: 2_000 },
  );
});
