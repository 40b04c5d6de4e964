import { figure } from "./chart.ts";
import { type Growth, judgeGrowth } from "./growth.ts";
import { type QuantityName, quantities, type Series } from "./sampler.ts";

/** `growth` is undefined if the run was too short. */
export type Verdict = {
  readonly quantity: QuantityName;
  readonly part: string;
  readonly growth: Growth | undefined;
};

export function judge(series: readonly Series[]): Verdict[] {
  return series.map(({ quantity, part, points }) => ({
    quantity,
    part,
    growth: judgeGrowth(points, quantities[quantity].least),
  }));
}

export function formatVerdicts(verdicts: readonly Verdict[]): string {
  const rows = verdicts.map(({ quantity, part, growth }) => {
    const { name, unit } = quantities[quantity];
    const what = `${name}, ${part}`.padEnd(36);
    if (growth === undefined) return `${what} too short a run for a verdict`;
    const { hasGrown, level, gain, noise } = growth;
    const figures = `${figure(level)} ${unit}`.padEnd(10);
    const trend = `${gain < 0 ? "" : "+"}${figure(gain)} in the second half (noise ${figure(noise)})`;
    return `${what} ${figures} ${trend}${hasGrown ? "  GROWS" : ""}`;
  });
  const grown = verdicts.filter(({ growth }) => growth?.hasGrown).length;
  const isKnown = verdicts.some(({ growth }) => growth !== undefined);
  const sum = isKnown ? (grown === 0 ? "nothing grows" : `${grown} of ${rows.length} grow`) : "no verdict";
  return [...rows, "", `Verdict: ${sum}`].join("\n");
}
