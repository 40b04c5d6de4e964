import { expect, test } from "vitest";
import { LivenessProbe } from "./liveness-probe.ts";

test("only a returned probe counts", () => {
  const clock = { ms: 100 };
  const sent: string[] = [];
  const probe = new LivenessProbe(
    (stamp) => sent.push(stamp),
    () => clock.ms,
  );

  probe.sendNow();
  expect(probe.state().returnedAgoMs).toBe(Number.POSITIVE_INFINITY);

  clock.ms += 3;
  probe.onReturn(sent[0] ?? "");
  clock.ms += 10;
  expect(probe.state()).toEqual({ returnedAgoMs: 10, roundTripMs: 3 });
  probe.onLost();
  expect(probe.state().returnedAgoMs).toBe(Number.POSITIVE_INFINITY);
});
