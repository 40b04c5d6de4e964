export type Point = { readonly seconds: number; readonly value: number };

export type Growth = {
  readonly hasGrown: boolean;
  /** In the second half of the run, by its trend. */
  readonly gain: number;
  /** What the low-water marks stray from their trend. */
  readonly noise: number;
  /** Median of the low-water marks. */
  readonly level: number;
};

/** Of half a run. */
const STRETCHES = 10;
/** Less of its level is no growth worth the name. */
const TOLERANCE = 0.05;
/** A trend has to stand out from what strays around it so many times. */
const CERTAINTY = 3;

/**
 * Whether something grows, seen in the second half of a run, when caches are full and buffers have their size. Looks at
 * the lowest of each of ten stretches, since what is garbage is not growth; the trend is the median of all slopes between
 * them, which a few outliers do not move. A process with little to do collects its garbage once in a quarter of an hour:
 * so it must also end higher than it ever was in the first half. Undefined when there are too few points to tell.
 */
export function judgeGrowth(points: readonly Point[], least: number): Growth | undefined {
  if (points.length < 4 * STRETCHES) return undefined;
  const all = Array.from({ length: 2 * STRETCHES }, (_, at) => lowest(points, at));
  const [before, marks] = [all.slice(0, STRETCHES), all.slice(STRETCHES)];
  const slope = median(marks.flatMap((one, at) => marks.slice(at + 1).map((other) => slopeBetween(one, other))));
  const level = median(marks.map(({ value }) => value));
  const rests = marks.map(({ seconds, value }) => value - slope * seconds);
  const middle = median(rests);
  // 1.48: from the median deviation to the standard deviation of what is normally distributed.
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
