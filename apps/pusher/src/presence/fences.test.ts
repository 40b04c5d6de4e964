import type { Bus } from "@fanwire/bus";
import { type PresenceFence, Subjects } from "@fanwire/protocol";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Fences } from "./fences.ts";

const OWN = "aaaaaaaa";
const [ONE, TWO] = ["bbbbbbbb", "cccccccc"] as const;
/** Above the time within which other workers have to answer. */
const LATE_MS = 2_100;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Fences of a worker that knows two others, with a NATS that confirms at once. */
function openFences() {
  const sent: (PresenceFence & { readonly to: string | undefined })[] = [];
  const passed: string[] = [];
  const bus = {
    send: (subject: string, data: Uint8Array) =>
      sent.push({ ...JSON.parse(Buffer.from(data).toString()), to: subject.split(".").at(-1) }),
  };
  const fences = new Fences<string>({
    bus: bus as unknown as Bus,
    subjects: new Subjects(),
    workerId: OWN,
    peerIds: () => [ONE, TWO],
    onceConfirmed: (callback) => callback(),
    onPassed: (waiting) => passed.push(waiting.join()),
  });
  const answer = (worker: string) => {
    const last = sent.findLast(({ kind, to }) => kind === "fence" && to === worker);
    fences.receive({ kind: "passed", worker, id: last?.id ?? 0 });
  };
  const wait = (ms: number) => {
    vi.advanceTimersByTime(ms);
    fences.check();
  };
  return { fences, sent, passed, answer, wait, toAll: () => sent.map(({ kind, to }) => `${kind} ${to}`) };
}

test("a fence is passed when all other workers have answered, and the next one serves all that were added meanwhile", () => {
  const { fences, passed, answer, wait, toAll } = openFences();
  fences.add("a");
  fences.add("b");
  wait(1);
  for (const late of ["c", "d"]) fences.add(late);
  wait(1);
  expect(toAll()).toEqual([`fence ${ONE}`, `fence ${TWO}`]);

  answer(ONE);
  answer(ONE);
  expect(passed).toEqual([]);
  answer(TWO);
  expect(passed).toEqual(["a,b"]);
  expect(toAll()).toHaveLength(4);
  answer(ONE);
  answer(TWO);

  expect(passed).toEqual(["a,b", "c,d"]);
});

test("a worker that does not answer in time is awaited again only after it has answered", () => {
  const { fences, passed, answer, wait } = openFences();
  fences.add("a");
  wait(1);
  answer(ONE);
  wait(LATE_MS);
  expect(passed).toEqual(["a"]);

  fences.add("b");
  wait(1);
  answer(ONE);
  expect(passed).toEqual(["a", "b"]);
  answer(TWO);
  fences.add("c");
  wait(1);
  answer(ONE);
  expect(passed).toEqual(["a", "b"]);
  answer(TWO);

  expect(passed).toEqual(["a", "b", "c"]);
});

test("a worker that has ended is not awaited, and the time in which this worker was stopped does not count", () => {
  const { fences, passed, answer, wait } = openFences();
  fences.add("a");
  wait(1);
  fences.extendDeadlines(LATE_MS);
  wait(LATE_MS);
  expect(passed).toEqual([]);

  answer(ONE);
  fences.forget(TWO);

  expect(passed).toEqual(["a"]);
});

test("the fence of another worker is answered when NATS has everything that was announced before", () => {
  const { fences, sent } = openFences();

  fences.pass({ kind: "fence", worker: ONE, id: 7 });

  expect(sent).toEqual([{ kind: "passed", worker: OWN, id: 7, to: ONE }]);
});
