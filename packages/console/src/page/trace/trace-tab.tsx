import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { useConsole } from "../store/console.ts";
import { count } from "../ui/format.ts";
import { FailureNotice, Notice } from "../ui/notice.tsx";
import { Panel } from "../ui/panel.tsx";
import { type Entry, kinds } from "./entry.ts";
import { EntryDetails } from "./entry-details.tsx";
import { SkippedNotice } from "./skipped-notice.tsx";
import { TraceFilter } from "./trace-filter.tsx";
import { TraceStream } from "./trace-stream.ts";
import { TraceTable } from "./trace-table.tsx";

/** Shows what happens in the cluster, as it happens. */
export function TraceTab() {
  const { session, router } = useConsole();
  const stream = useMemo(() => new TraceStream(session.api), [session]);
  const text = useSignal("");
  const selected = useSignal<Entry | undefined>(undefined);
  const { topic = "", user = "", connection = "", kinds: wanted = kinds.join(",") } = router.route.value.query;
  useEffect(() => {
    stream.clear();
    stream.start({ topic, user, connection, kinds: wanted });
    return () => stream.stop();
  }, [stream, topic, user, connection, wanted]);
  const { isPaused, arrivedCount, state, failure } = stream;
  return (
    <div class={selected.value === undefined ? "split" : "split open"}>
      <Panel
        class="list"
        title="Trace"
        aside={
          <span class="state" role="status" data-state={state.value}>
            {isPaused.value ? `paused, ${count(arrivedCount.value)} arrived` : state.value}
          </span>
        }
      >
        <TraceFilter key={`${topic}/${user}/${connection}/${wanted}`} />
        <div class="row filters">
          <label class="field">
            <span>Show only entries with this text</span>
            <input
              value={text.value}
              autocomplete="off"
              spellcheck={false}
              onInput={(event) => {
                text.value = event.currentTarget.value;
              }}
            />
          </label>
          <button type="button" onClick={() => stream.togglePause()}>
            {isPaused.value ? "Resume" : "Pause"}
          </button>
          <button type="button" onClick={() => stream.clear()}>
            Clear
          </button>
        </div>
        <FailureNotice failure={failure.value} />
        {state.value === "waiting" && failure.value === undefined && (
          <Notice kind="warn">The stream ended. The page connects again.</Notice>
        )}
        <SkippedNotice skipped={stream.skipped.value} />
        <TraceTable
          entries={stream.entries.value}
          text={text.value}
          selected={selected.value}
          onSelect={(entry) => {
            selected.value = entry;
          }}
        />
      </Panel>
      {selected.value !== undefined && (
        <EntryDetails
          entry={selected.value}
          onClose={() => {
            selected.value = undefined;
          }}
        />
      )}
    </div>
  );
}
