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

const CLIENT_SOURCE = "/packages/client/src/";
/** Timers that have neither run nor been cleared, with the place where they were set. */
const timers = new Map<unknown, Error>();

/**
 * Returns the number of timers of the client. Other test files of the process may have left timers that set some in this
 * one.
 */
export function pendingTimers(): number {
  return [...timers.values()].filter(({ stack }) => stack?.includes(CLIENT_SOURCE)).length;
}

function noteTimers(): void {
  const { setTimeout: set, clearTimeout: clear } = globalThis;
  timers.clear();
  vi.stubGlobal("setTimeout", (callback: () => void, delayMs?: number) => {
    const timer = set(() => {
      timers.delete(timer);
      callback();
    }, delayMs);
    timers.set(timer, new Error("set here"));
    return timer;
  });
  vi.stubGlobal("clearTimeout", (timer?: NodeJS.Timeout) => {
    timers.delete(timer);
    clear(timer);
  });
}

/** Sets up all tests of a file: fake timers, maximum backoff delays, and no socket of an earlier test. */
export function useFakeTime(options: { readonly now?: number } = {}): void {
  beforeEach(() => {
    vi.useFakeTimers(options);
    noteTimers();
    vi.spyOn(Math, "random").mockReturnValue(1);
    FakeWebSocket.all.length = 0;
    FakeWebSocket.answersPings = true;
    FakeWebSocket.answersCommands = false;
  });
  afterEach(() => {
    vi.unstubAllGlobals();
    vi.useRealTimers();
    vi.restoreAllMocks();
  });
}
