import { useSignal } from "@preact/signals";
import { useConsole } from "../store/console.ts";
import { Check, Form, TextField } from "../ui/fields.tsx";
import { type Kind, kinds } from "./entry.ts";

const TITLES: Readonly<Record<Kind, string>> = {
  publication: "Publications",
  connection: "Connections",
  subscription: "Subscriptions",
  recovery: "Recoveries",
};

/** Chooses what the publisher traces. */
export function TraceFilter() {
  const { router } = useConsole();
  const query = router.route.peek().query;
  const topic = useSignal(query.topic ?? "");
  const user = useSignal(query.user ?? "");
  const connection = useSignal(query.connection ?? "");
  const chosen = useSignal<readonly string[]>(query.kinds?.split(",") ?? kinds);
  const fields = [
    ["Topic or pattern", topic],
    ["User", user],
    ["Connection", connection],
  ] as const;
  const apply = () => {
    const isAll = kinds.every((kind) => chosen.value.includes(kind));
    const others = { topic: topic.value, user: user.value, connection: connection.value };
    router.change({ ...others, kinds: isAll ? "" : chosen.value.join(",") });
  };
  const toggle = (kind: Kind, isChosen: boolean) => {
    chosen.value = kinds.filter((each) => (each === kind ? isChosen : chosen.value.includes(each)));
  };
  return (
    <Form label="Trace" class="row filters" onSubmit={apply}>
      {fields.map(([label, value]) => (
        <TextField
          key={label}
          label={label}
          value={value.value}
          placeholder="any"
          onInput={(text) => {
            value.value = text;
          }}
        />
      ))}
      <fieldset>
        <legend class="hidden">Kinds of entries</legend>
        {kinds.map((kind) => (
          <Check
            key={kind}
            label={TITLES[kind]}
            isChecked={chosen.value.includes(kind)}
            onChange={(isChecked) => toggle(kind, isChecked)}
          />
        ))}
      </fieldset>
      <button type="submit" disabled={chosen.value.length === 0}>
        Apply
      </button>
    </Form>
  );
}
