import fc from "fast-check";
import { expect, test } from "vitest";
import { SlowConsumerBuffer } from "./slow-consumers.ts";

const A = 1;
const B = 2;
const OVER = 2;
const TAKEN = 1;
const BUFFERED = 0;

/**
 * A WebSocket in a group, like those of uWebSockets.js: the socket takes `room` frames, and further frames are buffered
 * up to a limit.
 */
class FakeSocket {
  readonly received: string[] = [];
  /** Whether a frame over the limit was dropped, so that the connection is being closed. */
  isOver = false;
  readonly #buffered: string[] = [];
  room: number;
  readonly groupId: number;
  readonly #limit: number;

  constructor(groupId: number, { room = 1_000, limit = 1_000 } = {}) {
    this.groupId = groupId;
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

  /** Reads `frames`, so that the socket takes as many. */
  read(frames: number): void {
    this.room += frames;
    this.flush();
  }

  flush(): void {
    for (; this.room > 0 && this.#buffered.length > 0; this.room--) this.received.push(this.#buffered.shift() ?? "");
  }
}

const fullSocket = () => new FakeSocket(A, { room: 0 });

function sharedBy(sockets: readonly FakeSocket[], maxBytes = 1_000_000) {
  const members = (wanted: number) => sockets.filter(({ groupId }) => groupId === wanted);
  const groups = { members, count: (groupId: number) => members(groupId).length, walked: () => sockets.length };
  const shared = new SlowConsumerBuffer({ groups, maxBytes });
  const leftToGroup: string[] = [];
  /** Several texts are a burst. */
  const publish = (groupId: number, ...texts: string[]) => {
    if (shared.prepareWrite(groupId, texts.length > 1)) {
      const batches = texts.map((text) => [{ content: Buffer.from(text), isBinary: false }]);
      shared.write(groupId, batches);
      return;
    }
    leftToGroup.push(...texts);
    for (const socket of members(groupId)) for (const text of texts) socket.send(text);
  };
  return { shared, publish, leftToGroup };
}

test("single frames, and bursts for few of many connections, are left to the group", () => {
  const { publish, leftToGroup } = sharedBy([new FakeSocket(A), ...Array.from({ length: 9 }, () => new FakeSocket(B))]);

  publish(B, "1");
  publish(A, "2", "3");

  expect(leftToGroup).toEqual(["1", "2", "3"]);
});

test("a slow consumer is sent the rest in order when its socket has drained", () => {
  const [slow, quick] = [new FakeSocket(A, { room: 1 }), new FakeSocket(A)];
  const { shared, publish } = sharedBy([slow, quick]);

  publish(A, "1", "2", "3");
  publish(A, "4", "5");

  expect(quick.received).toEqual(["1", "2", "3", "4", "5"]);
  expect(slow.received).toEqual(["1"]);
  // While uWebSockets.js buffers frames for it, nothing is written to it.
  shared.drained(slow);
  expect([slow.getBufferedAmount(), shared.waitingFor(slow), shared.slowConsumers, shared.bytes]).toEqual([1, 3, 1, 3]);
  slow.read(2);
  shared.drained(slow);
  expect(slow.received).toEqual(["1", "2", "3"]);
  expect([slow.getBufferedAmount(), shared.waitingFor(slow)]).toEqual([1, 1]);
  slow.read(10);
  shared.drained(slow);
  expect(slow.received).toEqual(["1", "2", "3", "4", "5"]);
  expect([shared.slowConsumers, shared.bytes]).toEqual([0, 0]);
});

test("frames that no slow consumer lacks are dropped", () => {
  const [slow, slower] = [fullSocket(), fullSocket()];
  const { shared, publish } = sharedBy([slow, slower]);
  publish(A, "1", "22");
  publish(A, "333", "4444");
  expect(shared.bytes).toBe(9);

  for (const socket of [slow, slower]) {
    socket.read(3);
    shared.drained(socket);
  }
  publish(A, "55555", "666666");
  expect(shared.bytes).toBe(11);

  shared.forget(slow);
  expect(shared.slowConsumers).toBe(1);
  shared.forget(slower);
  expect([shared.slowConsumers, shared.bytes]).toEqual([0, 0]);
});

test("slow consumers catch up before another group is written to", () => {
  const both = fullSocket();
  const { shared, publish, leftToGroup } = sharedBy([both]);
  publish(A, "1", "2", "3");

  publish(B, "other");

  expect(leftToGroup).toEqual(["other"]);
  expect(shared.slowConsumers).toBe(0);
  both.read(10);
  expect(both.received).toEqual(["1", "2", "3"]);
});

test("a single frame after a burst is buffered once for many slow consumers, and left to the group for few", () => {
  const sockets = Array.from({ length: 8 }, (_, at) => new FakeSocket(A, { room: at < 2 ? 0 : 1_000 }));
  const { shared, publish, leftToGroup } = sharedBy(sockets);
  publish(A, "1", "2");

  publish(A, "3");
  expect([leftToGroup, shared.slowConsumers]).toEqual([[], 2]);

  sockets[0]?.read(10);
  shared.drained(sockets[0] as FakeSocket);
  publish(A, "4");
  expect([leftToGroup, shared.slowConsumers]).toEqual([["4"], 0]);
  for (const socket of sockets) {
    socket.read(10);
    expect(socket.received).toEqual(["1", "2", "3", "4"]);
  }
});

test("catching up sends everything that is pending, to one or to all", () => {
  const [one, other, third] = [fullSocket(), fullSocket(), fullSocket()];
  const { shared, publish } = sharedBy([one, other, third]);
  publish(A, "1", "2", "3");

  shared.catchUp(one);
  expect([one, other].map((socket) => socket.getBufferedAmount())).toEqual([3, 1]);
  expect(shared.slowConsumers).toBe(2);

  shared.catchUpAll();
  expect([other, third].map((socket) => socket.getBufferedAmount())).toEqual([3, 3]);
  expect([shared.slowConsumers, shared.bytes]).toEqual([0, 0]);
});

test("a slow consumer with too many pending bytes is sent everything, and nothing after it is over its limit", () => {
  const [far, quick] = [new FakeSocket(A, { room: 0, limit: 2 }), new FakeSocket(A)];
  const { shared, publish } = sharedBy([far, quick], 10);
  publish(A, "12345", "12345", "12345");
  expect([far.getBufferedAmount(), shared.waitingFor(far)]).toEqual([1, 10]);

  publish(A, "6", "7");

  expect([far.getBufferedAmount(), shared.slowConsumers, shared.bytes]).toEqual([2, 0, 0]);
  expect(quick.received).toEqual(["12345", "12345", "12345", "6", "7"]);
  publish(A, "8", "9");
  expect([far.getBufferedAmount(), shared.slowConsumers]).toEqual([2, 0]);
});

test("a slow consumer that has closed is not written to", () => {
  const [slow, quick] = [fullSocket(), new FakeSocket(A)];
  const { shared, publish } = sharedBy([slow, quick]);
  publish(A, "1", "2");

  shared.forget(slow);
  slow.read(10);
  shared.drained(slow);

  expect(slow.received).toEqual(["1"]);
});

test("at any pace of reading, each connection receives everything once and in order, until it is over its limit", () => {
  const step = fc.oneof(
    fc.record({ groupId: fc.constantFrom(A, B), count: fc.integer({ min: 1, max: 5 }) }),
    fc.record({ reads: fc.nat({ max: 7 }), frames: fc.integer({ min: 1, max: 6 }) }),
    fc.record({ catchesUp: fc.nat({ max: 7 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1, max: 30 }), (steps, maxBytes) => {
      const sockets = Array.from({ length: 8 }, (_, at) => new FakeSocket(at < 6 ? A : B, { room: at, limit: 5 }));
      const { shared, publish } = sharedBy(sockets, maxBytes);
      const published: Record<number, string[]> = { [A]: [], [B]: [] };
      for (const each of steps) {
        if ("groupId" in each) {
          const texts = Array.from({ length: each.count }, (_, at) => `${published[each.groupId]?.length ?? 0} ${at}`);
          published[each.groupId]?.push(...texts);
          publish(each.groupId, ...texts);
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
        const all = published[socket.groupId] ?? [];
        expect(socket.received).toEqual(socket.isOver ? all.filter((text) => socket.received.includes(text)) : all);
      }
      expect([shared.slowConsumers, shared.bytes]).toEqual([0, 0]);
    }),
    { numRuns: 2_000 },
  );
});
