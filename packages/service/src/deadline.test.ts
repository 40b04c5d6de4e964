import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { deadlineSignal } from "./deadline.ts";

setFlagsFromString("--expose-gc");
const collectGarbage: () => void = runInNewContext("gc");

function aborted(signal: AbortSignal): Promise<string> {
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(signal.reason.name)));
}

test("the deadline passes although garbage is collected meanwhile", async () => {
  const waiting = aborted(AbortSignal.any([deadlineSignal(200), new AbortController().signal]));
  const collecting = setInterval(collectGarbage, 20);

  expect(await waiting).toBe("TimeoutError");

  clearInterval(collecting);
});

test("another signal ends the wait before the deadline, also one that has aborted already", async () => {
  const other = new AbortController();
  const waiting = aborted(deadlineSignal(60_000, other.signal));
  other.abort();

  expect(await waiting).toBe("AbortError");
  expect(deadlineSignal(60_000, other.signal).aborted).toBe(true);
});
