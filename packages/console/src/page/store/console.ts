import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { ClusterRecorder } from "./cluster-recorder.ts";
import type { Router } from "./route.ts";
import type { Session } from "./session.ts";

/** Parts that all tabs share. */
export type Console = { readonly session: Session; readonly router: Router; readonly recorder: ClusterRecorder };

export const ConsoleContext = createContext<Console | undefined>(undefined);

export function useConsole(): Console {
  const found = useContext(ConsoleContext);
  if (found === undefined) throw new Error("the component is outside of the console");
  return found;
}
