import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { FlushWindow } from "./flush-window.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("what comes within the window is handed on together, in order", () => {
  const handedOn: number[] = [];
  const window = new FlushWindow<number>(10, (entry) => handedOn.push(entry));

  window.push(1);
  vi.advanceTimersByTime(9);
  window.push(2);

  expect(handedOn).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(handedOn).toEqual([1, 2]);
});

test("without a window everything is handed on at once", () => {
  const handedOn: number[] = [];
  const window = new FlushWindow<number>(0, (entry) => handedOn.push(entry));

  window.push(1);

  expect(handedOn).toEqual([1]);
});

test("flushing ends the window, and the next begins with what comes next", () => {
  const handedOn: number[] = [];
  const window = new FlushWindow<number>(10, (entry) => handedOn.push(entry));

  window.push(1);
  vi.advanceTimersByTime(5);
  window.flush();
  window.push(2);
  vi.advanceTimersByTime(9);

  expect(handedOn).toEqual([1]);
  vi.advanceTimersByTime(1);
  expect(handedOn).toEqual([1, 2]);
});

test("a thousand do not wait for the end of the window", () => {
  const handedOn: number[] = [];
  const window = new FlushWindow<number>(10, (entry) => handedOn.push(entry));

  for (let entry = 0; entry < 1_001; entry++) window.push(entry);

  expect(handedOn).toHaveLength(1_000);
});
