import { useSignal } from "@preact/signals";
import type { ApiFailure } from "../api/client.ts";
import { useConsole } from "./console.ts";

/** Outcome of the last act. */
export type ActionOutcome =
  | { readonly ok: true; readonly text: string }
  | (ApiFailure & { readonly text?: undefined })
  | undefined;

type Act = { readonly method: "PUT" | "DELETE"; readonly path: string; readonly done: string };

/** Returns a function that changes something in the cluster, and the outcome of its last call. */
export function useAction(onDone: () => void): [act: (act: Act) => Promise<void>, outcome: ActionOutcome] {
  const { session } = useConsole();
  const outcome = useSignal<ActionOutcome>(undefined);
  const act = async ({ method, path, done }: Act) => {
    const answer = await session.api.send<{ connections?: number } | null>(method, path);
    if (!answer.ok) outcome.value = answer;
    else {
      const affected = answer.value?.connections;
      outcome.value = { ok: true, text: affected === undefined ? done : `${done} Connections: ${affected}.` };
    }
    onDone();
  };
  return [act, outcome.value];
}
