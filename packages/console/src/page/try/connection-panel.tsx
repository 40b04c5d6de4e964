import { Facts } from "../ui/facts.tsx";
import { Form, TextField } from "../ui/fields.tsx";
import { Notice } from "../ui/notice.tsx";
import { Panel } from "../ui/panel.tsx";
import type { TrySession } from "./try-session.ts";

const RECOVERED = {
  true: "true: nothing is missing",
  false: "false: something may be missing",
  null: "null: no position to resume from",
};

export function ConnectionPanel({ client }: { readonly client: TrySession }) {
  const { url, token, address, position, recovered, problems, isCut, isConnected } = client;
  return (
    <Panel title="Connection" aside={<StateBadge client={client} />}>
      <Form label="Connect" onSubmit={() => client.connect()}>
        <TextField
          label="Pusher URL"
          type="url"
          value={url.value}
          isRequired={true}
          onInput={(text) => {
            url.value = text;
          }}
        />
        <TextField
          label="Token, if the pusher requires one"
          value={token.value}
          onInput={(text) => {
            token.value = text;
          }}
        />
        <div class="buttons">
          <button type="submit">{isConnected.value ? "Reconnect" : "Connect"}</button>
          <button type="button" disabled={!isConnected.value} onClick={() => client.disconnect()}>
            Disconnect
          </button>
        </div>
      </Form>
      {problems.value.length > 0 && <Notice kind="bad">{problems.value.join(" ")}</Notice>}
      <Facts
        facts={[
          ["Address", <code key="address">{address.value ?? "–"}</code>],
          ["Position", <code key="position">{position.value ?? "–"}</code>],
          ["Recovered", recovered.value === undefined ? "–" : RECOVERED[`${recovered.value}`]],
        ]}
      />
      <button type="button" disabled={!isConnected.value && !isCut.value} onClick={() => client.toggleCut()}>
        {isCut.value ? "Restore the network" : "Cut the network"}
      </button>
      <p class="hint">
        A cut loses the connection without a close frame. Cut, publish something durable, and restore: the client
        receives the missed publications, marked as recovered.
      </p>
    </Panel>
  );
}

function StateBadge({ client: { state } }: { readonly client: TrySession }) {
  const name = state.value?.state ?? "connecting";
  return (
    <span class="state" role="status" data-state={name}>
      {name}
    </span>
  );
}
