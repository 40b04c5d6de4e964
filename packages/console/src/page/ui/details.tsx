import type { ComponentChildren } from "preact";
import { useConsole } from "../store/console.ts";
import type { ActionOutcome } from "../store/use-action.ts";
import { Notice } from "./notice.tsx";

type DetailsProps = { readonly label: string; readonly children: ComponentChildren };

/** The details beside a list. On narrow screens they replace it, so they have a way back. */
export function Details({ label, children }: DetailsProps) {
  const { router } = useConsole();
  const { tab, query } = router.route.value;
  return (
    <aside class="details" aria-label={label}>
      <p>
        <button type="button" class="small" onClick={() => router.go(tab, undefined, query)}>
          Close the details
        </button>
      </p>
      {children}
    </aside>
  );
}

export function OutcomeNotice({ outcome }: { readonly outcome: ActionOutcome }) {
  if (outcome === undefined) return null;
  if (outcome.ok) return <Notice kind="good">{outcome.text}</Notice>;
  return <Notice kind="bad">{outcome.message}</Notice>;
}
