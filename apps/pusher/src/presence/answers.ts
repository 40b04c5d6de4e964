import type { Bus } from "@fanwire/bus";
import type { PresenceAnswer, PresenceAsk, PresentUser, Subjects } from "@fanwire/protocol";
import type { Announced } from "./announcer.ts";

/** Characters of a page. A character has at most three bytes. */
const PAGE_LENGTH = 65_536;
/** Divisor of the `max_payload` of NATS. The smaller limit counts. */
const PAGE_DIVISOR = 8;

type AnswersParts = {
  readonly bus: Bus;
  readonly subjects: Subjects;
  readonly workerId: string;
  topic(name: string): Announced | undefined;
  /** Number of this worker's last announcement. */
  clock(): number;
};

type Page = { readonly snapshots: PresenceAnswer["snapshots"]; length: number };

/** Answers a question for the users of this worker, in pages. Yields often. */
export function* answer({ worker: asker, id, topics }: PresenceAsk, parts: AnswersParts): Iterable<void> {
  const { bus, subjects, workerId: worker } = parts;
  const clock = parts.clock();
  const maxLength = Math.min(PAGE_LENGTH, bus.maxPayloadBytes() / PAGE_DIVISOR);
  let page: Page = { snapshots: [], length: 0 };
  const send = (isLast: boolean) => {
    const { snapshots } = page;
    const text = JSON.stringify({ kind: "answer", worker, id, clock, snapshots, isLast } satisfies PresenceAnswer);
    bus.send(subjects.presenceWorker(asker), Buffer.from(text));
    page = { snapshots: [], length: 0 };
  };
  for (const name of topics) {
    const topic = parts.topic(name);
    if (topic === undefined || topic.locals.isEmpty) continue;
    const { counter } = topic;
    // Copied, so that all pages are of one moment.
    let users: PresentUser[] = [];
    const all = [...topic.locals.presentUsers()];
    page.length += name.length;
    for (const present of all) {
      users.push(present);
      page.length += JSON.stringify(present).length;
      if (page.length < maxLength) continue;
      page.snapshots.push({ topic: name, counter, users, isPart: true });
      send(false);
      yield;
      users = [];
    }
    page.snapshots.push({ topic: name, counter, users });
    yield;
    if (page.length >= maxLength) send(false);
  }
  send(true);
}
