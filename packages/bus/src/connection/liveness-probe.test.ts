import { expect, test } from "vitest";
import { Probe } from "./liveness-probe.ts";

test("only what comes back counts as heard", () => {
  const clock = { ms: 100 };
  const sent: string[] = [];
  const probe = new Probe(
    (stamp) => sent.push(stamp),
    () => clock.ms,
  );

  probe.sendNow();
  expect(probe.state().heardAgoMs).toBe(Number.POSITIVE_INFINITY);

  clock.ms += 3;
  probe.onReturn(sent[0] ?? "");
  clock.ms += 10;
  expect(probe.state()).toEqual({ heardAgoMs: 10, roundTripMs: 3 });
});
