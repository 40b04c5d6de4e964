import type { History } from "../api/types.ts";
import { type Fact, Facts } from "../ui/facts.tsx";
import { bytes, count, duration } from "../ui/format.ts";
import { Notice } from "../ui/notice.tsx";
import { Panel } from "../ui/panel.tsx";

type HistoryPanelProps = { readonly history: History | null | undefined; readonly problem: string | undefined };

export function HistoryPanel({ history, problem }: HistoryPanelProps) {
  return (
    <Panel title="History" aside={<small>durable publications</small>}>
      {history === undefined && <Notice kind="info">Unknown: the publisher reports no history.</Notice>}
      {history === null && (
        <Notice kind="warn">Unknown: {problem ?? "the history does not answer, or there is none"}.</Notice>
      )}
      {history && <Facts facts={factsOf(history)} />}
    </Panel>
  );
}

function factsOf({ messages, bytes: size, maxBytes, maxAgeSeconds, ...history }: History): Fact[] {
  const share = maxBytes ? ` of ${bytes(maxBytes)} (${Math.round((size / maxBytes) * 100)} %)` : ", without a limit";
  const replicas = history.replicas.map(({ name, isCurrent, lag }) => (
    <li key={name}>
      {name}{" "}
      <span class={isCurrent ? "badge good" : "badge warn"}>{isCurrent ? "current" : `${count(lag)} behind`}</span>
    </li>
  ));
  return [
    ["Publications", count(messages)],
    ["Size", `${bytes(size)}${share}`],
    ["Kept for", maxAgeSeconds === null ? "without a limit" : duration(maxAgeSeconds)],
    ["First position", history.firstPosition === null ? "–" : <code key="first">{history.firstPosition}</code>],
    ["Last position", <code key="last">{history.lastPosition}</code>],
    ...(history.leader === undefined ? [] : [["Leader", history.leader] as const]),
    ...(replicas.length === 0 ? [] : [["Replicas", <ul key="replicas">{replicas}</ul>] as const]),
  ];
}
