import { expect, test } from "vitest";
import { AwakeClock } from "./awake-clock.ts";

/** A clock whose time a test moves. `pass` lets the process run, `sleep` stops it. */
function openClock() {
  let now = 1_000;
  const clock = new AwakeClock(() => now);
  return {
    clock,
    sleep: (ms: number) => {
      now += ms;
    },
    pass: (ms: number) => {
      for (let at = 0; at < ms; at += 500) {
        now += 500;
        clock.now();
      }
    },
  };
}

test("a stop takes no time, and the clock runs on", () => {
  const { clock, pass, sleep } = openClock();
  pass(10_000);
  const before = clock.now();

  sleep(60_000);
  const after = clock.now();
  pass(10_000);

  expect(after - before).toBeLessThanOrEqual(500);
  expect(clock.now() - after).toBe(10_000);
  clock.stop();
});

test("after a stop the messages of all its seconds arrive, and no more than those", () => {
  const { clock, pass, sleep } = openClock();
  pass(10_000);
  expect(clock.secondsArriving()).toBe(1);

  sleep(7_500);
  clock.now();
  expect(clock.secondsArriving()).toBe(8);
  pass(5_000);
  expect(clock.secondsArriving()).toBe(1);
  clock.stop();
});
