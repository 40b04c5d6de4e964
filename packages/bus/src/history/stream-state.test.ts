import { createLog } from "@fanwire/service";
import { expect, test } from "vitest";
import type { OpenStream } from "./stream.ts";
import { type KnownPublication, StreamWatch } from "./stream-state.ts";

type Stored = { readonly sequence: number; readonly storedAt: number };

/** A stream in memory, which a test replaces by another one, as a restore does. */
function watchedStream(first: readonly Stored[]) {
  const state = {
    stored: first,
    epoch: "e1",
    disconnects: 0,
    consumed: undefined as KnownPublication | undefined,
    asked: 0,
    described: [] as string[],
  };
  const open = async (): Promise<OpenStream> => {
    const { sequence: lastSequence, storedAt: lastStoredAt } = state.stored.at(-1) ?? { sequence: 0, storedAt: 0 };
    const firstSequence = state.stored[0]?.sequence ?? 1;
    const history = { epoch: state.epoch, firstSequence, lastSequence, maxPerSubject: 1_000 };
    return { ok: true, history, term: "", hasCopies: false, duplicateWindowMs: 0, lastStoredAt };
  };
  const watch = new StreamWatch({
    stream: {
      open,
      mark: () => {
        state.epoch += "m";
        return open();
      },
    },
    log: createLog("test", "silent"),
    disconnects: () => state.disconnects,
    newestRecorded: async () => undefined,
    consumed: () => state.consumed,
    next: async (from) => {
      state.asked++;
      const found = state.stored.find(({ sequence }) => sequence >= from);
      return found === undefined ? null : { sequence: found.sequence, time: new Date(found.storedAt) };
    },
    onEpoch: (epoch) => state.described.push(epoch),
  });
  const epoch = async () => {
    const opened = await watch.refresh();
    return opened.ok ? opened.history.epoch : opened.detail;
  };
  return { state, watch, epoch };
}

const stored = (from: number, to: number, startsAt: number): Stored[] =>
  Array.from({ length: to - from + 1 }, (_, at) => ({ sequence: from + at, storedAt: startsAt + at * 100 }));

test("a stream that grows keeps its epoch, and is verified only after a reconnect or the end of a consumer", async () => {
  const { state, watch, epoch } = watchedStream(stored(1, 10, 1_000));
  expect(await epoch()).toBe("e1");
  state.stored = stored(1, 50, 1_000);
  expect(await epoch()).toBe("e1");
  expect(state.asked).toBe(0);

  state.disconnects++;
  expect(await epoch()).toBe("e1");
  watch.remember({ epoch: "e1", sequence: 50 }, 1_000 + 49 * 100);
  expect(await epoch()).toBe("e1");
  expect(state.asked).toBe(2);
  expect(await epoch()).toBe("e1");
  expect(state.asked).toBe(2);
});

test("a stream that has reused the place of a described publication gets another epoch, once", async () => {
  const { state, epoch } = watchedStream(stored(1, 10, 1_000));
  await epoch();

  state.stored = [...stored(1, 5, 1_000), ...stored(6, 90, 500_000)];
  state.disconnects++;

  expect(await epoch()).toBe("e1m");
  state.disconnects++;
  expect(await epoch()).toBe("e1m");
  expect(state.described).toEqual(["e1", "e1m", "e1m"]);
});

test("a duplicate does not hide that the stream has lost publications which were stored after the first one", async () => {
  const { state, watch, epoch } = watchedStream(stored(1, 10, 1_000));
  await epoch();
  expect(await watch.epochAt(11, false)).toBe("e1");
  expect(await watch.epochAt(12, false)).toBe("e1");
  expect(await watch.epochAt(3, true)).toBe("e1");

  // A restore removed the eleventh and twelfth publication.
  state.stored = stored(1, 10, 1_000);

  expect(await epoch()).toBe("e1m");
});

test("a place that only a consumer has read is compared too, also when it is empty now", async () => {
  const { state, watch, epoch } = watchedStream(stored(1, 5, 1_000));
  await epoch();
  state.consumed = { epoch: "e1", sequence: 8, storedAt: 2_000 };
  const reused = [...stored(1, 5, 1_000), ...stored(6, 90, 500_000)];

  state.stored = reused.filter(({ sequence }) => sequence !== 7 && sequence !== 8);
  watch.remember({ epoch: "e1", sequence: 8 }, 2_000);

  expect(await epoch()).toBe("e1m");
});

test("dropped publications and differing clocks of NATS nodes are no other stream", async () => {
  const { state, epoch } = watchedStream(stored(1, 50, 1_000));
  await epoch();

  // Another leader, whose clock is behind, stored what follows.
  state.stored = [...stored(30, 40, 3_900), { sequence: 45, storedAt: 9_000 }, ...stored(51, 60, 5_000)];
  state.disconnects++;
  expect(await epoch()).toBe("e1");
  state.stored = stored(80, 90, 90_000);
  state.disconnects++;
  expect(await epoch()).toBe("e1");
});
