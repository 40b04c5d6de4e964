import {
  type AppendOutcome,
  type Bus,
  countSubjects,
  type History,
  type ReadOutcome,
  type StoredPublication,
} from "@fanwire/bus";
import type { DurableTarget, Position, Subjects } from "@fanwire/protocol";

export type OpenedHistory = { readonly history: History; readonly subjects: Subjects; readonly bus: Bus };

export const numbers = (count: number) => Array.from({ length: count }, (_, at) => String(at));

export function append({ history, subjects }: OpenedHistory, target: DurableTarget, content: string, id?: string) {
  return history.append(subjects.history(target), Buffer.from(content), [["Event", "e"]], id);
}

export async function appended(...args: Parameters<typeof append>): Promise<Position> {
  return positionOf(await append(...args));
}

export function positionOf(outcome: AppendOutcome): Position {
  if (!outcome.ok) throw new Error(`${outcome.reason}: ${outcome.detail}`);
  return outcome.position;
}

export function pageOf(outcome: ReadOutcome) {
  if (!outcome.ok) throw new Error(`${outcome.reason}: ${outcome.detail}`);
  return outcome;
}

export const contents = (publications: readonly StoredPublication[]) =>
  publications.map(({ content }) => Buffer.from(content).toString());

/** Reads a target to its end, as a resume does. */
export async function replay({ history, subjects }: OpenedHistory, target: DurableTarget, since: Position) {
  const publications: StoredPublication[] = [];
  for (let after = since.sequence; ; ) {
    const page = pageOf(await history.read({ filter: subjects.historyFilter(target), after, limit: 100 }));
    publications.push(...page.publications);
    after = page.through;
    if (!page.isEnd) continue;
    const counts = countSubjects(publications);
    const filter = subjects.historyFilter(target);
    const { unread } = page;
    const missing = await history.missing({ filter, since, counts, unread, history: page.history });
    return { publications, isComplete: missing.ok && missing.reason === undefined };
  }
}
