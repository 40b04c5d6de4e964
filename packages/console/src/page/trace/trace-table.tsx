import { type Column, DataTable } from "../ui/data-table.tsx";
import { timeOfDay } from "../ui/format.ts";
import { detailOf, type Entry, matches, outcomeOf, subjectOf } from "./entry.ts";

const MAX_ROWS = 200;
const MAX_DETAIL = 200;

type TraceTableProps = {
  readonly entries: readonly Entry[];
  /** Only entries with this text. */
  readonly text: string;
  readonly selected: Entry | undefined;
  onSelect(entry: Entry): void;
};

/** The newest entries, on top. */
export function TraceTable({ entries, text, selected, onSelect }: TraceTableProps) {
  const shown = entries.filter((entry) => matches(entry, text)).slice(0, MAX_ROWS);
  const columns: readonly Column<Entry>[] = [
    {
      head: "Time",
      kind: "mono",
      cell: (entry) => (
        <button type="button" class="link" onClick={() => onSelect(entry)}>
          {timeOfDay(new Date(entry.value.at))}
        </button>
      ),
    },
    { head: "Kind", cell: ({ kind }) => <span class={`kind ${kind}`}>{kind}</span> },
    { head: "Target or connection", kind: "mono", cell: subjectOf },
    { head: "Event", cell: (entry) => <Outcome entry={entry} /> },
    { head: "Details", kind: "wide", cell: (entry) => shortened(detailOf(entry)) },
    { head: "Position", kind: "mono", cell: (entry) => (entry.kind === "publication" && entry.value.position) || "–" },
  ];
  return (
    <DataTable
      caption="Trace, newest first"
      columns={columns}
      rows={shown}
      keyOf={({ number }) => String(number)}
      empty={entries.length === 0 ? "Nothing has happened yet." : "No entry has this text."}
      selected={selected && String(selected.number)}
    />
  );
}

function Outcome({ entry }: { readonly entry: Entry }) {
  const text = outcomeOf(entry);
  if (entry.kind !== "recovery" || entry.value.recovered === null) return <>{text}</>;
  return <span class={entry.value.recovered ? "badge good" : "badge bad"}>{text}</span>;
}

function shortened(text: string): string {
  return text.length > MAX_DETAIL ? `${text.slice(0, MAX_DETAIL)}…` : text;
}
