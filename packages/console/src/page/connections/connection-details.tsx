import type { Connection } from "../api/types.ts";
import { PublishForm } from "../publish/publish-form.tsx";
import { useConsole } from "../store/console.ts";
import { routeHash } from "../store/route.ts";
import { useAction } from "../store/use-action.ts";
import { useResource } from "../store/use-resource.ts";
import { ConfirmButton } from "../ui/buttons.tsx";
import { Details, OutcomeNotice } from "../ui/details.tsx";
import { type Fact, Facts } from "../ui/facts.tsx";
import { bytes, dateAndTime } from "../ui/format.ts";
import { FailureNotice } from "../ui/notice.tsx";
import { Panel } from "../ui/panel.tsx";
import { TopicForm } from "../ui/topic-form.tsx";
import { Subscriptions } from "./subscriptions.tsx";

type ConnectionDetailsProps = { readonly address: string; onChange(): void };

export function ConnectionDetails({ address, onChange }: ConnectionDetailsProps) {
  const { session } = useConsole();
  const path = `v1/connections/${encodeURIComponent(address)}`;
  const { value: connection, failure, reload } = useResource<Connection>(path);
  const [act, outcome] = useAction(() => {
    reload();
    onChange();
  });
  const change = (method: "PUT" | "DELETE", topic: string) =>
    void act({
      method,
      path: `${path}/topics/${encodeURIComponent(topic)}`,
      done: `${method === "PUT" ? "Subscribed to" : "Unsubscribed from"} ${topic}.`,
    });
  const mayWrite = session.mayWrite.value && connection !== undefined;
  return (
    <Details label={`Connection ${address}`}>
      <Panel
        title={<code>{address}</code>}
        aside={<a href={routeHash("trace", undefined, { connection: address })}>Trace</a>}
      >
        <FailureNotice failure={failure} isStale={connection !== undefined} />
        <OutcomeNotice outcome={outcome} />
        {connection && <Facts facts={factsOf(connection)} />}
        {mayWrite && (
          <p class="acts">
            <ConfirmButton
              label="Disconnect"
              question="Disconnect now"
              onConfirm={() => void act({ method: "DELETE", path, done: "The worker closes the connection." })}
            />
          </p>
        )}
      </Panel>
      {connection && (
        <Panel title="Subscriptions">
          {mayWrite && <TopicForm label="Subscribe" onSubmit={(topic) => change("PUT", topic)} />}
          <Subscriptions
            connection={connection}
            onUnsubscribe={mayWrite ? (topic) => change("DELETE", topic) : undefined}
          />
        </Panel>
      )}
      {connection && (
        <Panel title="Publish to this connection">
          <PublishForm target={{ kind: "connection", name: address }} />
        </Panel>
      )}
    </Details>
  );
}

function factsOf({ protocol, user, remoteAddress, openedAt, unsentBytes }: Connection): Fact[] {
  return [
    ["Protocol", protocol],
    ["User", user === undefined ? "–" : <a href={routeHash("users", user)}>{user}</a>],
    ["Remote address", <code key="remote">{remoteAddress}</code>],
    ["Opened", dateAndTime(openedAt)],
    ["Unsent", bytes(unsentBytes)],
  ];
}
