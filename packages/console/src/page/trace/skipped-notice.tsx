import { count } from "../ui/format.ts";
import { Notice } from "../ui/notice.tsx";
import type { Skipped } from "./entry.ts";

/** Shows how much the trace left out, so that nobody takes it for everything. */
export function SkippedNotice({ skipped: { publications, events } }: { readonly skipped: Skipped }) {
  if (publications === 0 && events === 0) return null;
  return (
    <Notice kind="warn">
      The trace is a sample: it left out {amount(publications, "publications")} and {amount(events, "other events")}.
    </Notice>
  );
}

function amount(value: number | null, name: string): string {
  return value === null ? `an unknown number of ${name}` : `${count(value)} ${name}`;
}
