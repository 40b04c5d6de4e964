type Listener = (event: { readonly persisted?: boolean }) => void;
type Target = {
  addEventListener?(type: string, listener: Listener): void;
  removeEventListener?(type: string, listener: Listener): void;
};

/** Why a page may find its connection in another state than it was left in. */
export type Waking =
  /** There is a network again, or the page is looked at again: timers may be late, and the connection may be dead. */
  | "look"
  /** The page comes from the back/forward cache, for which browsers close its connections. */
  | "restored";

/** Calls `onWake` when the browser says so, until the function that it returns is called. Outside of browsers: never. */
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
