import { count } from "../ui/format.ts";
import { Notice } from "../ui/notice.tsx";
import type { Skipped } from "./entry.ts";

/** Shows how much the trace left out, so that nobody takes it for everything. */
export function SkippedNotice({ skipped: { publications, events } }: { readonly skipped: Skipped }) {
  const amounts = [amount(publications, "publications"), amount(events, "other events")].filter(Boolean);
  if (amounts.length === 0) return null;
  return <Notice kind="warn">The trace is a sample: it left out {amounts.join(" and ")}.</Notice>;
}

function amount(value: number | null, name: string): string {
  if (value === 0) return "";
  return value === null ? `an unknown number of ${name}` : `${count(value)} ${name}`;
}
