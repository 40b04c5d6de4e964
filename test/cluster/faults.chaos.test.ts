import { writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { runChaos } from "../chaos/run.ts";

const {
  FANWIRE_CHAOS_SECONDS: seconds = "100",
  FANWIRE_CHAOS_SEED: seed = String(Date.now() % 1_000_000),
  FANWIRE_CHAOS_ROUNDS: rounds,
  FANWIRE_CHAOS_ONLY: only,
  FANWIRE_CHAOS_REPORT: path,
} = process.env;

test(
  `no fault loses, repeats or reorders an acknowledged publication (FANWIRE_CHAOS_SEED=${seed})`,
  async () => {
    const say = (line: string) => process.stdout.write(`${line}\n`);

    const report = await runChaos({
      seed: Number(seed),
      seconds: Number(seconds),
      ...(rounds && { rounds: Number(rounds) }),
      only,
      say,
    });

    if (path !== undefined) writeFileSync(path, JSON.stringify(report.json(), null, 2));
    expect(report.failures).toEqual([]);
  },
  (Number(seconds) + 600) * 1_000,
);
