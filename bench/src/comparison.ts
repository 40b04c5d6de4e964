import type { Contestant, Round } from "./rounds.ts";
import type { ScenarioReport } from "./scenarios/scenario.ts";
import { median } from "./statistics.ts";

/** Fields of every sample besides its figures. */
export type Measured = {
  /** CPU use by other processes meanwhile, in cores. */
  foreignLoad: number;
  /** Description of faults; undefined without any. */
  fault: string | undefined;
};

/** One column: the median of a figure, or the ratio to the first contestant in the same round. */
export type Column<Sample> = {
  readonly title: string;
  of(sample: Sample): number;
  readonly show: "ratio" | ((value: number) => string);
};

/** CPU use by others, in cores, above which a round is disturbed. */
const MAX_FOREIGN_LOAD = 0.25;

/** Table of a scenario: one line per contestant, ratios to the first. */
export function compare<Sample extends Measured>(options: {
  name: string;
  heading: string;
  contestants: readonly Contestant[];
  rounds: readonly Round<Sample>[];
  columns: readonly Column<Sample>[];
  /** For the JSON file. */
  load: unknown;
}): ScenarioReport {
  const { name, heading, contestants, rounds, columns, load } = options;
  const counted = countedRounds(rounds);
  const baseline = contestants[0]?.name ?? "";
  const present = contestants.filter((contestant) => rounds.some((round) => round.has(contestant.name)));
  const figures = present.map((contestant) => ({
    name: contestant.name,
    values: columns.map((column) => valuesOf(column, contestant.name, baseline, counted)),
  }));
  return {
    name,
    heading: `${heading}; ${countedText(counted, rounds)}`,
    table: {
      columns: ["", ...columns.map(({ title, show }) => (show === "ratio" ? `${title} × ${baseline}` : title))],
      rows: figures.map((row) => [row.name, ...columns.map((column, at) => cell(column, row.values[at] ?? []))]),
    },
    faults: rounds.flatMap((round, index) =>
      [...round].flatMap(([of, { fault }]) => (fault ? [`${name}, round ${index + 1}, ${of}: ${fault}`] : [])),
    ),
    data: {
      load,
      countedRounds: counted.map((round) => rounds.indexOf(round) + 1),
      medians: Object.fromEntries(
        figures.map((row) => [
          row.name,
          Object.fromEntries(
            columns.map(({ title, show }, at) => [
              show === "ratio" ? `${title} × ${baseline}` : title,
              median(row.values[at] ?? []),
            ]),
          ),
        ]),
      ),
      rounds: rounds.map((round) => Object.fromEntries(round)),
    },
  };
}

export function isDisturbed({ foreignLoad }: Measured): boolean {
  return foreignLoad > MAX_FOREIGN_LOAD;
}

/** Returns the undisturbed rounds, or all rounds when each was disturbed. */
function countedRounds<Sample extends Measured>(rounds: readonly Round<Sample>[]): readonly Round<Sample>[] {
  const undisturbed = rounds.filter((round) => ![...round.values()].some(isDisturbed));
  return undisturbed.length > 0 ? undisturbed : rounds;
}

/**
 * Returns one value per round. Ratios are computed per round, because contestants of one round share its conditions.
 */
function valuesOf<Sample>(
  { of, show }: Column<Sample>,
  name: string,
  baseline: string,
  rounds: readonly Round<Sample>[],
): number[] {
  return rounds.flatMap((round) => {
    const [sample, base] = [round.get(name), round.get(baseline)];
    if (sample === undefined) return [];
    if (show !== "ratio") return [of(sample)];
    return base === undefined || of(base) === 0 ? [] : [of(sample) / of(base)];
  });
}

function cell<Sample>({ show }: Column<Sample>, values: readonly number[]): string {
  if (values.length === 0) return "–";
  return show === "ratio" ? ratioCell(values) : show(median(values));
}

/** Formats the median, with the lowest and highest round if there are several. */
function ratioCell(ratios: readonly number[]): string {
  const middle = median(ratios).toFixed(2);
  if (ratios.length === 1) return middle;
  return `${middle} (${Math.min(...ratios).toFixed(2)}–${Math.max(...ratios).toFixed(2)})`;
}

function countedText<Sample extends Measured>(
  counted: readonly Round<Sample>[],
  all: readonly Round<Sample>[],
): string {
  const which = counted.length < all.length ? `the ${counted.length} undisturbed of ${all.length}` : `${all.length}`;
  const disturbed = counted.some((round) => [...round.values()].some(isDisturbed)) ? ", disturbed by others" : "";
  return `${counted.length === 1 ? "figures" : "median"} of ${which} ${all.length === 1 ? "round" : "rounds"}${disturbed}`;
}
