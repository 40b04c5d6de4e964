import { useSignal } from "@preact/signals";
import { Form, TextField } from "../ui/fields.tsx";
import { Panel } from "../ui/panel.tsx";
import type { TrySession } from "./try-session.ts";

export function SubscribePanel({ client }: { readonly client: TrySession }) {
  const name = useSignal("");
  const subscribe = () => {
    client.subscribe(name.value);
    name.value = "";
  };
  return (
    <Panel title="Subscribe">
      <Form label="Subscribe" class="row" onSubmit={subscribe}>
        <TextField
          label="Topic or pattern"
          value={name.value}
          placeholder="orders.*"
          isRequired={true}
          onInput={(text) => {
            name.value = text;
          }}
        />
        <button type="submit">Subscribe</button>
      </Form>
      <ul class="chips" aria-label="Subscriptions">
        {client.topics.value.map((topic) => (
          <li key={topic}>
            <code>{topic}</code>
            <button type="button" aria-label={`Unsubscribe from ${topic}`} onClick={() => client.unsubscribe(topic)}>
              ×
            </button>
          </li>
        ))}
      </ul>
    </Panel>
  );
}
