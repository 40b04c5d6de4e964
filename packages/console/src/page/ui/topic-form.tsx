import { useSignal } from "@preact/signals";
import { Form, TextField } from "./fields.tsx";

type TopicFormProps = { readonly label: string; onSubmit(topic: string): void };

/** Asks for a topic or pattern. */
export function TopicForm({ label, onSubmit }: TopicFormProps) {
  const topic = useSignal("");
  const submit = () => {
    onSubmit(topic.value);
    topic.value = "";
  };
  return (
    <Form label={label} class="row" onSubmit={submit}>
      <TextField
        label="Topic or pattern"
        value={topic.value}
        placeholder="orders.*"
        isRequired={true}
        onInput={(text) => {
          topic.value = text;
        }}
      />
      <button type="submit">{label}</button>
    </Form>
  );
}
