/**
 * Returns a signal that aborts with a TimeoutError after `ms`, or when `signal` aborts. Node 20 collects a signal of
 * `AbortSignal.timeout` that only `AbortSignal.any` refers to, and then it never aborts. Here the timer keeps it alive.
 */
export function deadlineSignal(ms: number, signal?: AbortSignal): AbortSignal {
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(new DOMException(`no answer within ${ms} ms`, "TimeoutError")), ms);
  timer.unref();
  return signal === undefined ? deadline.signal : AbortSignal.any([deadline.signal, signal]);
}
