import fc from "fast-check";
import { expect, test } from "vitest";
import { KeySequence } from "./key-sequence.ts";

type Published = { readonly sequence: number; readonly previous: number; readonly subject: string };

/** A log of a few subjects, as the stream would number it. */
const log = fc.array(fc.constantFrom("a", "b", "c"), { minLength: 1, maxLength: 60 }).map((subjects): Published[] => {
  const last = new Map<string, number>();
  return subjects.map((subject, at) => {
    const sequence = at + 1;
    const previous = last.get(subject) ?? 0;
    last.set(subject, sequence);
    return { sequence, previous, subject };
  });
});

test("whatever is lost or repeated on the way, repairs deliver each once, in order on each subject", () => {
  const fate = fc.array(fc.constantFrom("arrives", "lost", "twice"), { minLength: 60, maxLength: 60 });

  fc.assert(
    fc.property(log, fate, fc.boolean(), (published, fates, isExact) => {
      const all = isExact ? onOneSubject(published) : published;
      const key = new KeySequence(isExact);
      key.settle(0);
      const delivered: Published[] = [];
      const deliver = (publication: Published) => {
        key.delivered(publication.sequence, publication.subject);
        delivered.push(publication);
      };
      const repair = (through: number) => {
        for (const each of all) if (each.sequence <= through && !key.isDelivered(each.sequence)) deliver(each);
        key.settle(through);
      };

      for (const [at, publication] of all.entries()) {
        const copies = { arrives: 1, lost: 0, twice: 2 }[fates[at] ?? "arrives"] ?? 1;
        for (let copy = 0; copy < copies; copy++) {
          const verdict = key.judge(publication.sequence, publication.previous, publication.subject);
          if (verdict === "gap") repair(publication.sequence);
          else if (verdict === "deliver") deliver(publication);
        }
      }
      repair(all.length);

      expect(delivered.map(({ sequence }) => sequence).sort((one, other) => one - other)).toEqual(
        all.map(({ sequence }) => sequence),
      );
      for (const subject of ["a", "b", "c"]) {
        const own = delivered.filter((each) => each.subject === subject).map(({ sequence }) => sequence);
        expect(own).toEqual([...own].sort((one, other) => one - other));
      }
      expect(key.unsettled).toBe(0);
    }),
  );
});

function onOneSubject(published: Published[]): Published[] {
  return published.map((_, at) => ({ sequence: at + 1, previous: at, subject: "a" }));
}

test("the first that comes tells nothing about those before it", () => {
  const key = new KeySequence(true);

  expect(key.judge(100, 99, "a")).toBe("deliver");
  key.delivered(100, "a");
  expect(key.judge(99, 98, "a")).toBe("duplicate");
  expect(key.judge(103, 102, "a")).toBe("gap");
  expect(key.judge(101, 100, "a")).toBe("deliver");
});

test("after a reset low sequences are new", () => {
  const key = new KeySequence(false);
  key.settle(500);
  key.reset();

  expect(key.judge(1, 0, "a")).toBe("deliver");
  expect(key.judge(3, 2, "b")).toBe("gap");
});

test("what is stored when nothing is known counts only once what was on its way has come", () => {
  const key = new KeySequence(true, 90);
  key.propose(100);
  expect(key.judge(100, 99, "a")).toBe("deliver");
  expect(key.floor).toBeUndefined();

  key.propose(105);
  expect(key.floor).toBe(100);
  expect(key.judge(106, 105, "a")).toBe("gap");
});

test("a publication that claims to be the first of its subject is doubted where we know better", () => {
  const key = new KeySequence(false);
  key.delivered(10, "a");

  expect(key.judge(20, 0, "a")).toBe("gap");
  expect(key.judge(20, 10, "a")).toBe("deliver");
  expect(key.judge(21, 0, "b")).toBe("deliver");
});

test("what is from before the following is past, what comes later only once it is delivered", () => {
  const key = new KeySequence(true, 7);
  expect([7, 8].map((sequence) => key.isPast(sequence))).toEqual([true, false]);

  key.delivered(8, "a");
  expect([8, 9].map((sequence) => key.isPast(sequence))).toEqual([true, false]);
  expect(new KeySequence(true).isPast(1)).toBe(false);
});

test("in a history made anew all is new to who followed before, and nothing is old news to who has just come", () => {
  const [followed, fresh] = [new KeySequence(false), new KeySequence(false)];
  followed.begin(20);
  // It came before it was known where the history stands, and that the history was made anew.
  fresh.delivered(5, "a");

  expect([followed.reset(), fresh.reset()]).toEqual([true, false]);

  expect(followed.floor).toBe(0);
  expect(fresh.floor).toBeUndefined();
  fresh.begin(7);
  expect(fresh.floor).toBe(7);
  expect(fresh.judge(1, 0, "a")).toBe("duplicate");
});

test("what came before the following had begun is remembered when it begins", () => {
  const sequence = new KeySequence(false);
  sequence.delivered(5, "a");

  sequence.begin(7);

  expect(sequence.judge(5, 0, "a")).toBe("duplicate");
  expect(sequence.judge(6, 5, "a")).toBe("deliver");
});
