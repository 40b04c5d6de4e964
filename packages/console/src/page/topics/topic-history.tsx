import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { ApiFailure } from "../api/client.ts";
import type { HistoryPage, StoredPublication } from "../api/types.ts";
import { useConsole } from "../store/console.ts";
import { type Column, DataTable } from "../ui/data-table.tsx";
import { dateAndTime } from "../ui/format.ts";
import { FailureNotice, Notice } from "../ui/notice.tsx";
import { Panel } from "../ui/panel.tsx";

const LIMIT = 20;
/** A publication may be a mebibyte. */
const MAX_SHOWN = 2_000;

const COLUMNS: readonly Column<StoredPublication>[] = [
  { head: "Position", kind: "mono", cell: ({ position }) => position },
  { head: "Time", cell: ({ time }) => dateAndTime(time) },
  { head: "Event", cell: ({ event }) => event },
  { head: "Data", kind: "wide", cell: dataOf },
];

/** The stored publications of a topic, from the oldest. */
export function TopicHistory({ path }: { readonly path: string }) {
  const { session } = useConsole();
  const page = useSignal<HistoryPage | undefined>(undefined);
  const failure = useSignal<ApiFailure | undefined>(undefined);
  const since = useSignal<string | undefined>(undefined);
  const load = async (from: string | undefined) => {
    const answer = await session.api.get<HistoryPage>(path, { since: from, limit: LIMIT });
    failure.value = answer.ok ? undefined : answer;
    if (!answer.ok) return;
    page.value = answer.value;
    since.value = from;
  };
  useEffect(() => void load(undefined), [path]);
  const shown = page.value;
  return (
    <Panel title="History" aside={<small>from the oldest stored publication</small>}>
      <FailureNotice failure={failure.value} isStale={shown !== undefined} />
      {shown !== undefined && (
        <>
          <Completeness page={shown} isFirst={since.value === undefined} />
          <DataTable
            caption="Stored publications"
            columns={COLUMNS}
            rows={shown.publications}
            keyOf={({ position }) => position}
            empty={since.value === undefined ? "Nothing is stored." : "There are no later publications."}
          />
          <div class="pager">
            <button type="button" class="small" onClick={() => void load(undefined)}>
              From the oldest
            </button>
            <button type="button" class="small" onClick={() => void load(shown.position)}>
              Next
            </button>
          </div>
        </>
      )}
    </Panel>
  );
}

type CompletenessProps = { readonly page: HistoryPage; readonly isFirst: boolean };

function Completeness({ page: { complete, position }, isFirst }: CompletenessProps) {
  if (complete) return <Notice kind="good">Proved complete up to {position}.</Notice>;
  return (
    <Notice kind={isFirst ? "info" : "warn"}>
      {isFirst
        ? "Older publications may have expired."
        : "Not proved complete: publications may have expired meanwhile."}
    </Notice>
  );
}

function dataOf({ data, encoding }: StoredPublication): string {
  const shown = data.length > MAX_SHOWN ? `${data.slice(0, MAX_SHOWN)}… (${data.length} characters)` : data;
  return encoding === undefined ? shown : `base64: ${shown}`;
}
