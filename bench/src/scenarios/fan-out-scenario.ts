import { type FanOutLoad, type FanOutSample, hasFaults, measureFanOut } from "../fan-out.ts";
import { measureRounds } from "../rounds.ts";
import { isDisturbed } from "./fan-out-figures.ts";
import { fanOutReport } from "./fan-out-report.ts";
import type { LoadSettings, Scenario } from "./scenario.ts";

type Options = {
  name: string;
  summary: string;
  load(settings: LoadSettings): FanOutLoad;
};

/** A scenario in which every connection hears every publication. */
export function fanOutScenario({ name, summary, load: loadFor }: Options): Scenario {
  return {
    name,
    summary,
    connections: (settings) => loadFor(settings).clients,
    run: async (lab, settings) => {
      const load = loadFor(settings);
      const rounds = await measureRounds(settings.servers, settings.rounds, async (server, round) => {
        const label = `${name} ${round + 1}/${settings.rounds} ${server.name}`;
        settings.progress(`${label} …`);
        const sample = await measureFanOut(server, load, lab);
        settings.progress(`${label}: ${inShort(sample)}`);
        return sample;
      });
      return fanOutReport(name, load, rounds);
    },
  };
}

/** A load at an even pace, for some seconds. */
export function pacedLoad(clients: number, ratePerSecond: number, seconds: number, warmUpSeconds: number): FanOutLoad {
  return {
    clients,
    ratePerSecond,
    warmUp: Math.ceil(ratePerSecond * warmUpSeconds),
    publications: Math.ceil(ratePerSecond * seconds),
    latencyOfOneIn: 1,
  };
}

function inShort(sample: FanOutSample): string {
  const { cpuMicrosPerDelivery, latency, foreignLoad } = sample;
  return [
    `${cpuMicrosPerDelivery.toFixed(2)} µs/delivery`,
    `p99 ${(latency.p99Micros / 1000).toFixed(1)} ms`,
    ...(isDisturbed(sample) ? [`disturbed: others used ${Math.round(foreignLoad * 100)} % of a core`] : []),
    ...(hasFaults(sample.faults) ? ["FAULTS"] : []),
  ].join(", ");
}
