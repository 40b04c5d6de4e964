import { useSignal } from "@preact/signals";
import { useConsole } from "./store/console.ts";
import { Form, TextField } from "./ui/fields.tsx";
import { FailureNotice } from "./ui/notice.tsx";
import { Panel } from "./ui/panel.tsx";

/** Asks for an API key. */
export function SignIn() {
  const { session } = useConsole();
  const key = useSignal("");
  const current = session.current.value;
  const isChecking = current.state === "checking";
  return (
    <Panel title="Sign in" class="narrow">
      <Form label="Sign in" onSubmit={() => void session.signIn(key.value.trim())}>
        <TextField
          label="API key"
          type="password"
          name="key"
          value={key.value}
          isRequired={true}
          onInput={(text) => {
            key.value = text;
          }}
        />
        <div class="buttons">
          <button type="submit" disabled={isChecking}>
            Sign in
          </button>
        </div>
      </Form>
      <FailureNotice failure={current.state === "signed-out" ? current.failure : undefined} />
      <p class="hint">
        One of <code>PUBLISHER_API_KEYS</code>. A read-only key shows everything and changes nothing. The key stays in
        this browser tab.
      </p>
    </Panel>
  );
}
