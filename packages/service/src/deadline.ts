/**
 * Returns a signal that aborts with a TimeoutError after `ms`, or when `signal` aborts. Node 20 collects a signal of
 * `AbortSignal.timeout` that only `AbortSignal.any` refers to, and then it never aborts.
 */
export function deadlineSignal(ms: number, signal?: AbortSignal): AbortSignal {
  const controller = new AbortController();
  const onAbort = () => controller.abort(signal?.reason);
  // The timer keeps the controller alive, and ends the listener so that a long-lived signal does not collect them.
  const timer = setTimeout(() => {
    signal?.removeEventListener("abort", onAbort);
    controller.abort(new DOMException(`no answer within ${ms} ms`, "TimeoutError"));
  }, ms);
  timer.unref();
  if (signal?.aborted) onAbort();
  else signal?.addEventListener("abort", onAbort, { once: true });
  return controller.signal;
}
