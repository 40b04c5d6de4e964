import { PublishForm } from "../publish/publish-form.tsx";
import type { TargetKind } from "../publish/publisher-of.ts";
import { Panel } from "../ui/panel.tsx";
import { ConnectionPanel } from "./connection-panel.tsx";
import { MembersPanel } from "./members-panel.tsx";
import { PublicationsPanel } from "./publications-panel.tsx";
import { StatesPanel } from "./states-panel.tsx";
import { SubscribePanel } from "./subscribe-panel.tsx";
import type { TrySession } from "./try-session.ts";

/** A client, a backend and the network between them. */
export function TryTab({ client }: { readonly client: TrySession }) {
  const nameFor = (kind: TargetKind) => {
    if (kind === "topic") return "news";
    return kind === "connection" ? (client.address.value ?? "") : "";
  };
  return (
    <div class="columns">
      <div class="column">
        <ConnectionPanel client={client} />
        <SubscribePanel client={client} />
        <Panel title="Publish" aside={<small>over HTTP, as a backend</small>}>
          <PublishForm nameFor={nameFor} />
        </Panel>
      </div>
      <div class="column">
        <PublicationsPanel client={client} />
        <StatesPanel client={client} />
        <MembersPanel members={client.members} isConnected={client.address.value !== undefined} />
      </div>
    </div>
  );
}
