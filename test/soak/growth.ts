export type Point = { readonly seconds: number; readonly value: number };

export type Growth = {
  readonly hasGrown: boolean;
  /** Growth in the second half of the run, by its trend. */
  readonly gain: number;
  /** Deviation of the low-water marks from their trend. */
  readonly noise: number;
  /** Median of the low-water marks. */
  readonly level: number;
};

/** Stretches in half a run. */
const STRETCHES = 10;
/** Smaller shares of the level do not count as growth. */
const TOLERANCE = 0.05;
/** Minimum ratio of a trend to the deviations from it. */
const CERTAINTY = 3;

/**
 * Returns whether a figure grows in the second half of a run, when caches and buffers are full. Undefined for too few
 * points. Uses the minimum of each of ten stretches, because garbage is not growth. Uses the median of all slopes
 * between them, because outliers do not change it. The figure must also end above its maximum in the first half,
 * because a process with little to do collects its garbage rarely.
 */
export function judgeGrowth(points: readonly Point[], least: number): Growth | undefined {
  if (points.length < 4 * STRETCHES) return undefined;
  const all = Array.from({ length: 2 * STRETCHES }, (_, at) => lowest(points, at));
  const [before, marks] = [all.slice(0, STRETCHES), all.slice(STRETCHES)];
  const slope = median(marks.flatMap((one, at) => marks.slice(at + 1).map((other) => slopeBetween(one, other))));
  const level = median(marks.map(({ value }) => value));
  const rests = marks.map(({ seconds, value }) => value - slope * seconds);
  const middle = median(rests);
  // Ratio of standard deviation to median deviation in a normal distribution.
  const noise = 1.48 * median(rests.map((rest) => Math.abs(rest - middle)));
  const gain = slope * ((points.at(-1)?.seconds ?? 0) - (marks[0]?.seconds ?? 0));
  const rise = (marks.at(-1)?.value ?? 0) - Math.max(...before.map(({ value }) => value));
  const worthTheName = Math.max(TOLERANCE * level, least);
  const hasGrown = gain > Math.max(CERTAINTY * noise, worthTheName) && rise > worthTheName;
  return { hasGrown, gain, noise, level };
}

function lowest(points: readonly Point[], stretch: number): Point {
  const size = points.length / (2 * STRETCHES);
  const own = points.slice(Math.floor(stretch * size), Math.floor((stretch + 1) * size));
  return own.reduce((low, point) => (point.value < low.value ? point : low));
}

function slopeBetween(one: Point, other: Point): number {
  return (other.value - one.value) / (other.seconds - one.seconds);
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other);
  const middle = sorted.length / 2;
  return ((sorted[Math.ceil(middle) - 1] ?? 0) + (sorted[Math.floor(middle)] ?? 0)) / 2;
}
