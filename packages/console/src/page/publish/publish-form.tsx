import { useSignal } from "@preact/signals";
import type { ApiResult } from "../api/client.ts";
import type { PublicationStatus } from "../api/types.ts";
import { useConsole } from "../store/console.ts";
import { routeHash } from "../store/route.ts";
import { CopyButton } from "../ui/buttons.tsx";
import { Check, Form, Select, TextField } from "../ui/fields.tsx";
import { Outcome } from "./outcome.tsx";
import { curlOfDraft, type Draft, isToConnection, publish, type TargetKind } from "./publisher-of.ts";

const KINDS = [
  ["topic", "a topic"],
  ["everyone", "everyone"],
  ["user", "a user"],
  ["connection", "a connection"],
] as const satisfies readonly (readonly [TargetKind, string])[];

type PublishFormProps = {
  /** Target that the form cannot change. */
  readonly target?: { readonly kind: TargetKind; readonly name: string };
  /** Name that the form fills in for a kind of target. */
  readonly nameFor?: (kind: TargetKind) => string;
};

/** Publishes over HTTP, as a backend does, and shows the answer with its receipt. */
export function PublishForm({ target, nameFor = () => "" }: PublishFormProps) {
  const { session } = useConsole();
  const draft = useSignal<Draft>({
    kind: target?.kind ?? "topic",
    name: target?.name ?? nameFor("topic"),
    event: "",
    data: "hello",
    isDurable: target === undefined,
    hasReceipt: true,
  });
  const answer = useSignal<ApiResult<PublicationStatus> | undefined>(undefined);
  const change = (fields: Partial<Draft>) => {
    draft.value = { ...draft.value, ...fields };
  };
  const current = draft.value;
  const submit = async () => {
    answer.value = await publish(session.api, draft.value);
  };

  if (!session.mayWrite.value) return <NoPermission />;
  return (
    <Form label="Publish" onSubmit={() => void submit()}>
      {target === undefined && (
        <div class="row">
          <Select
            label="To"
            value={current.kind}
            options={KINDS}
            onChange={(kind) => change({ kind, name: nameFor(kind) })}
          />
          <TextField
            label="Name or address"
            value={current.name}
            isDisabled={current.kind === "everyone"}
            isRequired={true}
            onInput={(name) => change({ name })}
          />
        </div>
      )}
      <TextField label="Event" value={current.event} placeholder="message" onInput={(event) => change({ event })} />
      <label class="field">
        <span>Data</span>
        <textarea rows={2} value={current.data} onInput={(event) => change({ data: event.currentTarget.value })} />
      </label>
      <div class="row checks">
        <Check
          label="Durable: stored for clients that resume"
          isChecked={current.isDurable}
          isDisabled={isToConnection(current)}
          onChange={(isDurable) => change({ isDurable })}
        />
        <Check
          label="Receipt: count the receivers"
          isChecked={current.hasReceipt}
          isDisabled={isToConnection(current)}
          onChange={(hasReceipt) => change({ hasReceipt })}
        />
      </div>
      <div class="buttons">
        <button type="submit">Publish</button>
        <CopyButton label="Copy as curl" text={() => curlOfDraft(draft.peek(), session.needsKey)} />
      </div>
      <Outcome answer={answer.value} />
    </Form>
  );
}

function NoPermission() {
  const { session } = useConsole();
  if (session.isSignedIn.value) return <p class="hint">This key may read only. Publishing needs a full key.</p>;
  return (
    <p class="hint">
      Publishing needs an API key. <a href={routeHash("overview")}>Sign in</a>
    </p>
  );
}
