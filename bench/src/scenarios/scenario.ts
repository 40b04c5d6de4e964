import type { Lab } from "../lab.ts";

export type Scenario = {
  readonly name: string;
  /** One line for `--help`. */
  readonly summary: string;
  /**
   * Maximum connections at the same time. Known in advance, so that a limit of the machine stops a run at its start.
   */
  connections(settings: LoadSettings): number;
  run(lab: Lab, settings: RunSettings): Promise<ScenarioReport>;
};

/** Settings from the command line for every scenario. Absent ones have a default per scenario. */
export type LoadSettings = {
  seconds: number | undefined;
  clients: number | undefined;
  /** Publications of a burst. */
  publications: number | undefined;
  size: "quick" | "default";
};

export type RunSettings = LoadSettings & {
  /** Names of servers; all servers of the scenario if empty. */
  servers: readonly string[];
  peers: boolean;
  rounds: number;
  progress(text: string): void;
};

export type ScenarioReport = {
  name: string;
  /** Description of load and conditions, printed above the table. */
  heading: string;
  table: { columns: readonly string[]; rows: readonly (readonly string[])[] };
  /** One line per kind of fault. A run with faults fails. */
  faults: readonly string[];
  /** Contents of the JSON file: load, samples, medians. */
  data: unknown;
};
