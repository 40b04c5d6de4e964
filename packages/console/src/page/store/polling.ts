type Load = (signal: AbortSignal) => Promise<void>;

/**
 * Calls `load` at once, and again `intervalMs()` after each end, while the page is visible. Returns what stops it. A
 * hidden page asks nothing; it loads at once when it is shown again.
 */
export function poll(load: Load, intervalMs: () => number): () => void {
  const stopping = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isLoading = false;
  const run = async () => {
    clearTimeout(timer);
    if (document.hidden || isLoading || stopping.signal.aborted) return;
    isLoading = true;
    await load(stopping.signal);
    isLoading = false;
    if (!stopping.signal.aborted) timer = setTimeout(() => void run(), intervalMs());
  };
  const onVisibility = () => void run();
  document.addEventListener("visibilitychange", onVisibility);
  void run();
  return () => {
    stopping.abort();
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", onVisibility);
  };
}
