import { afterEach, beforeEach, vi } from "vitest";
import { FakeWebSocket } from "./fake-web-socket.ts";

/** Returns the errors that microtasks throw, which would be uncaught. */
export function catchMicrotasks(): unknown[] {
  const thrown: unknown[] = [];
  const run = (callback: () => void) =>
    Promise.resolve()
      .then(callback)
      .catch((error) => thrown.push(error));
  vi.stubGlobal("queueMicrotask", run);
  return thrown;
}

/** Sets up all tests of a file: fake timers, maximum backoff delays, and no socket of an earlier test. */
export function useFakeTime(options: { readonly now?: number } = {}): void {
  beforeEach(() => {
    vi.useFakeTimers(options);
    vi.spyOn(Math, "random").mockReturnValue(1);
    FakeWebSocket.all.length = 0;
    FakeWebSocket.answersPings = true;
    FakeWebSocket.answersCommands = false;
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.restoreAllMocks();
    vi.unstubAllGlobals();
  });
}
