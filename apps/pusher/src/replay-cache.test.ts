import type { ReadOutcome } from "@fanwire/bus";
import { expect, onTestFinished, test } from "vitest";
import { ReplayCache } from "./replay-cache.ts";

const unavailable = { ok: false, reason: "unavailable", detail: "JetStream has no leader" } as const;
const log = { epoch: "e", firstSequence: 1, lastSequence: 7, maxPerSubject: 1_000 };

test("what cannot be read for a moment is asked for again", async () => {
  const answers: ReadOutcome[] = [unavailable, unavailable, { ok: true, publications: [], next: 7, isEnd: true, log }];
  const read = async () => answers.shift() ?? unavailable;
  const cache = new ReplayCache({ read });
  onTestFinished(() => cache.stop());

  const part = await cache.read("filter", { epoch: "e", sequence: 3 });

  expect(part).toEqual({ publications: [], log });
});
