import { useEffect } from "preact/hooks";
import { useConsole } from "../store/console.ts";
import { timeOfDay } from "../ui/format.ts";
import { FailureNotice, GapsNotice } from "../ui/notice.tsx";
import { Charts } from "./charts.tsx";
import { HistoryPanel } from "./history-panel.tsx";
import { NatsPanel } from "./nats-panel.tsx";
import { ServicesPanel } from "./services-panel.tsx";
import { Totals } from "./totals.tsx";
import { WorkersPanel } from "./workers-panel.tsx";

/** All parts of the cluster, and their figures over the last minutes. */
export function OverviewTab() {
  const { recorder } = useConsole();
  useEffect(() => recorder.start(), [recorder]);
  const cluster = recorder.cluster.value;
  const failure = recorder.failure.value;
  if (cluster === undefined) {
    return (
      <div class="overview">
        <FailureNotice failure={failure} />
        {failure === undefined && <p class="loading">Asking the cluster …</p>}
      </div>
    );
  }
  return (
    <div class="overview">
      <FailureNotice failure={failure} isStale={true} />
      <GapsNotice missing={cluster.missing} complete={cluster.complete} />
      <Totals cluster={cluster} />
      <Charts />
      <WorkersPanel workers={cluster.workers} />
      <ServicesPanel services={cluster.services} />
      <div class="pair">
        <NatsPanel nodes={cluster.nats} />
        <HistoryPanel history={cluster.history} problem={cluster.historyProblem} />
      </div>
      <p class="hint">
        Answered at {timeOfDay(recorder.answeredAt.value)}. The page asks every few seconds while it is visible.
      </p>
    </div>
  );
}
