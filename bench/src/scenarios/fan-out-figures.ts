import type { FanOutSample } from "../fan-out.ts";
import type { Round } from "../rounds.ts";
import { baseline } from "../servers/all.ts";
import type { Server } from "../servers/server.ts";
import { median } from "../statistics.ts";

/** Work of others, in cores, beyond which a round says more about them than about the servers. */
const MAX_FOREIGN_LOAD = 0.25;

/** What the rounds say of one server: medians, and its ratio to the baseline in each round. */
export type FanOutFigures = {
  server: string;
  cpuMicrosPerDelivery: number;
  userMicrosPerDelivery: number;
  deliveriesPerSecond: number;
  p50Micros: number;
  p99Micros: number;
  p999Micros: number;
  serverLoad: number;
  clientLoad: number;
  foreignLoad: number;
  cpuRatios: readonly number[];
  p99Ratios: readonly number[];
};

export function isDisturbed({ foreignLoad }: FanOutSample): boolean {
  return foreignLoad > MAX_FOREIGN_LOAD;
}

/** The rounds in which nobody else used much of the machine; all of them when there is no such round. */
export function countedRounds(rounds: readonly Round<FanOutSample>[]): readonly Round<FanOutSample>[] {
  const undisturbed = rounds.filter((round) => ![...round.values()].some(isDisturbed));
  return undisturbed.length > 0 ? undisturbed : rounds;
}

export function figuresOf(server: Server, rounds: readonly Round<FanOutSample>[]): FanOutFigures {
  const samples = rounds.flatMap((round) => round.get(server) ?? []);
  const medianOf = (figure: (sample: FanOutSample) => number) => median(samples.map(figure));
  return {
    server: server.name,
    cpuMicrosPerDelivery: medianOf((sample) => sample.cpuMicrosPerDelivery),
    userMicrosPerDelivery: medianOf((sample) => sample.userMicrosPerDelivery),
    deliveriesPerSecond: medianOf((sample) => sample.deliveriesPerSecond),
    p50Micros: medianOf((sample) => sample.latency.p50Micros),
    p99Micros: medianOf((sample) => sample.latency.p99Micros),
    p999Micros: medianOf((sample) => sample.latency.p999Micros),
    serverLoad: medianOf((sample) => sample.serverLoad),
    clientLoad: medianOf((sample) => sample.clientLoad),
    foreignLoad: medianOf((sample) => sample.foreignLoad),
    cpuRatios: ratiosOf(server, rounds, (sample) => sample.cpuMicrosPerDelivery),
    p99Ratios: ratiosOf(server, rounds, (sample) => sample.latency.p99Micros),
  };
}

/** Against the baseline of the same round: neighbours in a round have more in common than medians of many. */
function ratiosOf(
  server: Server,
  rounds: readonly Round<FanOutSample>[],
  figure: (sample: FanOutSample) => number,
): number[] {
  return rounds.flatMap((round) => {
    const [sample, base] = [round.get(server), round.get(baseline)];
    return sample === undefined || base === undefined || figure(base) === 0 ? [] : [figure(sample) / figure(base)];
  });
}
