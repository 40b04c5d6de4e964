import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { ApiFailure } from "../api/client.ts";
import { useConsole } from "./console.ts";
import { poll } from "./polling.ts";

const intervalMs = () => 5_000;

type Resource<Value> = {
  /** The last answer, also if a later request failed. */
  readonly value: Value | undefined;
  readonly failure: ApiFailure | undefined;
  reload(): void;
};

/** Returns what the publisher answers about one thing, again every few seconds while the page is visible. */
export function useResource<Value>(path: string): Resource<Value> {
  const { session } = useConsole();
  const value = useSignal<Value | undefined>(undefined);
  const failure = useSignal<ApiFailure | undefined>(undefined);
  const requests = useSignal(0);
  const load = async (stopping?: AbortSignal) => {
    const request = ++requests.value;
    const answer = await session.api.get<Value>(path, {}, stopping);
    if (request !== requests.peek() || stopping?.aborted) return;
    failure.value = answer.ok ? undefined : answer;
    if (answer.ok) value.value = answer.value;
    // It does not exist any longer, so the last answer is wrong.
    else if (answer.status === 404) value.value = undefined;
  };
  useEffect(() => {
    value.value = undefined;
    return poll(load, intervalMs);
  }, [session, path]);
  return { value: value.value, failure: failure.value, reload: () => void load() };
}
