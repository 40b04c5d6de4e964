type Listener = (event: { readonly persisted?: boolean }) => void;
type Target = {
  addEventListener?(type: string, listener: Listener): void;
  removeEventListener?(type: string, listener: Listener): void;
};

/** Event after which the state of the connection is uncertain. */
export type Waking =
  /** The network is back, or the page has become visible: timers may be late, and the connection may be dead. */
  | "look"
  /** The page was restored from the back/forward cache, for which browsers close its connections. */
  | "restored";

/** Calls `onWake` on these events, until the returned function is called. Does nothing outside of browsers. */
export function watchWaking(onWake: (waking: Waking) => void): () => void {
  const page: Target & { readonly document?: Target & { readonly visibilityState?: string } } = globalThis as object;
  const { document } = page;
  const look = () => onWake("look");
  const listeners: [Target | undefined, string, Listener][] = [
    [page, "online", look],
    [page, "pageshow", ({ persisted }) => persisted === true && onWake("restored")],
    [document, "visibilitychange", () => document?.visibilityState === "visible" && look()],
  ];
  for (const [target, type, listener] of listeners) target?.addEventListener?.(type, listener);
  return () => {
    for (const [target, type, listener] of listeners) target?.removeEventListener?.(type, listener);
  };
}
