import { Subjects } from "@fanwire/protocol";
import { expect, test } from "vitest";
import type { MessageQuery } from "./leader-messages.ts";
import { singleReader } from "./reader.testing.ts";
import type { HistoryReader } from "./reader.ts";
import type { OpenStream } from "./stream.ts";

const subjects = new Subjects();
const subject = subjects.history({ kind: "everyone" });

/** A node that knows the history up to `knows`, and may believe that it is the leader. */
type Node = { readonly name: string; knows: number };

/** Reads from the node that answers next: `describing` the history, or `giving` a message. */
function readerOf(answers: { describing(): Node; giving(): Node }) {
  const open = async (): Promise<OpenStream> => {
    const { name, knows } = answers.describing();
    const history = { epoch: "e", firstSequence: 1, lastSequence: knows, maxPerSubject: 1_000 };
    return { ok: true, history, term: name, hasCopies: false, duplicateWindowMs: 0, lastStoredAt: 0 };
  };
  const message = async (query: MessageQuery) => {
    const sequence = "seq" in query ? query.seq : 0;
    if (sequence > answers.giving().knows) return null;
    return { sequence, subject, content: Buffer.alloc(0), headers: undefined, time: new Date(0) };
  };
  return singleReader(open, message);
}

const readAll = async (reader: HistoryReader, after: number, upTo: number) => {
  const page = await reader.read({ filter: subject, after, upTo });
  if (!page.ok) throw new Error(page.detail);
  const { publications, through, isEnd } = page;
  return { sequences: publications.map(({ sequence }) => sequence), through, isEnd };
};

test("the end of the history according to a former leader is not trusted, even if its successor describes the history", async () => {
  const [former, successor] = [
    { name: "former", knows: 5 },
    { name: "successor", knows: 8 },
  ];
  const given: Node[] = [former];
  const described: Node[] = [former];
  const reader = readerOf({
    describing: () => described.shift() ?? successor,
    giving: () => given.shift() ?? successor,
  });

  expect(await readAll(reader, 5, 5)).toEqual({ sequences: [6, 7, 8], through: 8, isEnd: true });
});

test("an outdated leader is trusted only up to the end of the history that it described before", async () => {
  const leader = { name: "leader", knows: 5 };
  const reader = readerOf({
    describing: () => ({ ...leader }),
    giving: () => {
      const answering = { ...leader };
      leader.knows = 8;
      return answering;
    },
  });

  expect(await readAll(reader, 5, 8)).toEqual({ sequences: [], through: 5, isEnd: true });
  expect(await readAll(reader, 5, 8)).toEqual({ sequences: [6, 7, 8], through: 8, isEnd: true });
});

test("a history whose leader changes all the time cannot be read", async () => {
  let term = 0;
  const reader = readerOf({
    describing: () => ({ name: String(term++), knows: 5 }),
    giving: () => ({ name: "", knows: 5 }),
  });

  expect(await reader.read({ filter: subject, after: 5 })).toMatchObject({ ok: false, reason: "unusable" });
});

test("the end of the history costs one description if the history is known up to `upTo`", async () => {
  const leader = { name: "leader", knows: 5 };
  let descriptions = 0;
  const reader = readerOf({
    describing: () => {
      descriptions++;
      return leader;
    },
    giving: () => leader,
  });
  await reader.state();
  descriptions = 0;

  expect(await readAll(reader, 3, 5)).toEqual({ sequences: [4, 5], through: 5, isEnd: true });
  expect(descriptions).toBe(1);

  leader.knows = 6;
  expect(await readAll(reader, 5, 6)).toEqual({ sequences: [6], through: 6, isEnd: true });
  expect(descriptions).toBe(3);
});
