import { afterEach, beforeEach, vi } from "vitest";
import { FakeWebSocket } from "./fake-web-socket.ts";

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
