import { useSignal } from "@preact/signals";
import { Form, TextField } from "../ui/fields.tsx";
import { count } from "../ui/format.ts";
import { Panel } from "../ui/panel.tsx";
import type { TryMembers } from "./try-members.ts";

type MembersPanelProps = { readonly members: TryMembers; readonly isConnected: boolean };

export function MembersPanel({ members, isConnected }: MembersPanelProps) {
  const topic = useSignal("lobby");
  const shown = members.shown.value;
  return (
    <Panel title="Members" aside={shown !== undefined && <small>{`${count(shown.count)} on ${shown.topic}`}</small>}>
      <Form label="Enter a topic" class="row" onSubmit={() => members.enter(topic.value)}>
        <TextField
          label="Topic to be present on"
          value={topic.value}
          isRequired={true}
          onInput={(text) => {
            topic.value = text;
          }}
        />
        <button type="submit">Enter</button>
        <button type="button" disabled={shown === undefined} onClick={() => members.leave()}>
          Leave
        </button>
      </Form>
      <ul class={isConnected ? "members" : "members stale"} aria-label="Members of the topic">
        {shown?.members.map(([user, info]) => (
          <li key={user}>
            <span>{user}</span>
            {info !== undefined && <code>{JSON.stringify(info)}</code>}
          </li>
        ))}
      </ul>
      <p class="hint">
        Needs a token with a user (<code>sub</code>), and with the topic in <code>topics</code> and{" "}
        <code>presence</code>.
      </p>
    </Panel>
  );
}
