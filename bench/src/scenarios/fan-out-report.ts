import { type FanOutLoad, type FanOutSample, hasFaults } from "../fan-out.ts";
import type { Round } from "../rounds.ts";
import { baseline } from "../servers/all.ts";
import { median } from "../statistics.ts";
import { countedRounds, type FanOutFigures, figuresOf, isDisturbed } from "./fan-out-figures.ts";
import type { ScenarioReport } from "./scenario.ts";

const columns: readonly [string, (figures: FanOutFigures) => string][] = [
  ["server", ({ server }) => server],
  ["CPU µs/delivery", ({ cpuMicrosPerDelivery }) => cpuMicrosPerDelivery.toFixed(2)],
  ["of it user", ({ userMicrosPerDelivery }) => userMicrosPerDelivery.toFixed(2)],
  [`× ${baseline.name}`, ({ cpuRatios }) => ratioCell(cpuRatios)],
  ["deliveries/s", ({ deliveriesPerSecond }) => grouped(Math.round(deliveriesPerSecond))],
  ["p50 ms", ({ p50Micros }) => millis(p50Micros)],
  ["p99 ms", ({ p99Micros }) => millis(p99Micros)],
  ["p99.9 ms", ({ p999Micros }) => millis(p999Micros)],
  [`p99 × ${baseline.name}`, ({ p99Ratios }) => ratioCell(p99Ratios)],
  ["server load", ({ serverLoad }) => percent(serverLoad)],
  ["client load", ({ clientLoad }) => percent(clientLoad)],
  ["foreign load", ({ foreignLoad }) => percent(foreignLoad)],
];

export function fanOutReport(name: string, load: FanOutLoad, rounds: Rounds): ScenarioReport {
  const counted = countedRounds(rounds);
  const servers = [...(rounds[0]?.keys() ?? [])];
  const figures = servers.map((server) => figuresOf(server, counted));
  return {
    name,
    heading: `${loadText(load)}; ${countedText(counted, rounds)}`,
    table: {
      columns: columns.map(([title]) => title),
      rows: figures.map((of) => columns.map(([, cell]) => cell(of))),
    },
    faults: rounds.flatMap((round, index) => faultLines(`${name}, round ${index + 1}`, round)),
    data: {
      load,
      countedRounds: counted.map((round) => rounds.indexOf(round) + 1),
      figures,
      rounds: rounds.map((round) => Object.fromEntries([...round].map(([server, sample]) => [server.name, sample]))),
    },
  };
}

function loadText({ clients, ratePerSecond, publications, latencyOfOneIn }: FanOutLoad): string {
  const pace =
    ratePerSecond === "burst"
      ? `${grouped(publications)} publications at once`
      : `${ratePerSecond} publications/s for ${(publications / ratePerSecond).toFixed(1)} s`;
  const sampling = latencyOfOneIn === 1 ? "every delivery" : `one publication in ${latencyOfOneIn}`;
  return `${grouped(clients)} clients, ${pace}; latency of ${sampling}`;
}

type Rounds = readonly Round<FanOutSample>[];

function countedText(counted: Rounds, all: Rounds): string {
  const which = counted.length < all.length ? `the ${counted.length} undisturbed of ${all.length}` : `${all.length}`;
  const disturbed = counted.some((round) => [...round.values()].some(isDisturbed)) ? ", all disturbed by others" : "";
  return `${counted.length === 1 ? "figures" : "median"} of ${which} ${all.length === 1 ? "round" : "rounds"}${disturbed}`;
}

function faultLines(label: string, round: Round<FanOutSample>): string[] {
  return [...round].flatMap(([server, { faults }]) => {
    if (!hasFaults(faults)) return [];
    const { missing, repeated, late, foreign, ended, firstEnd } = faults;
    const reason = firstEnd === undefined ? "" : ` (${firstEnd})`;
    const counts = `${missing} missing, ${repeated} repeated, ${late} out of order, ${foreign} foreign frames`;
    return [`${label}, ${server.name}: ${counts}, ${ended} connections ended${reason}`];
  });
}

/** Median, and the lowest and highest round where there are several. */
function ratioCell(ratios: readonly number[]): string {
  if (ratios.length === 0) return "–";
  const middle = median(ratios).toFixed(2);
  return ratios.length === 1
    ? middle
    : `${middle} (${Math.min(...ratios).toFixed(2)}–${Math.max(...ratios).toFixed(2)})`;
}

function grouped(value: number): string {
  return value.toLocaleString("en");
}

function millis(micros: number): string {
  return (micros / 1000).toFixed(1);
}

function percent(load: number): string {
  return `${Math.round(load * 100)} %`;
}
