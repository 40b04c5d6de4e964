import { useSignal } from "@preact/signals";
import { Form, TextField } from "../ui/fields.tsx";
import { Panel } from "../ui/panel.tsx";

type UserTopicsProps = {
  readonly path: string;
  act(act: { readonly method: "PUT" | "DELETE"; readonly path: string; readonly done: string }): Promise<void>;
};

/** Subscribes all connections of a user, or unsubscribes them. */
export function UserTopics({ path, act }: UserTopicsProps) {
  const topic = useSignal("");
  const change = (method: "PUT" | "DELETE") => {
    if (topic.value === "") return;
    const done = `${method === "PUT" ? "Subscribed to" : "Unsubscribed from"} ${topic.value}.`;
    void act({ method, path: `${path}/topics/${encodeURIComponent(topic.value)}`, done });
  };
  return (
    <Panel title="Subscriptions of all its connections">
      <Form label="Subscriptions" class="row" onSubmit={() => change("PUT")}>
        <TextField
          label="Topic or pattern"
          value={topic.value}
          placeholder="orders.*"
          isRequired={true}
          onInput={(text) => {
            topic.value = text;
          }}
        />
        <button type="submit">Subscribe</button>
        <button type="button" onClick={() => change("DELETE")}>
          Unsubscribe
        </button>
      </Form>
    </Panel>
  );
}
