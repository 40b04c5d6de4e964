import type { Lab } from "../lab.ts";

export type Scenario = {
  readonly name: string;
  /** One line for the help. */
  readonly summary: string;
  /** The most it opens at once; known before anything runs, so that a limit stops a run at its start. */
  connections(settings: LoadSettings): number;
  run(lab: Lab, settings: RunSettings): Promise<ScenarioReport>;
};

/** What the command line asks of every scenario; what it leaves open is the scenario's own default. */
export type LoadSettings = {
  seconds: number | undefined;
  clients: number | undefined;
  /** Of a burst. */
  publications: number | undefined;
  size: "quick" | "default";
};

export type RunSettings = LoadSettings & {
  /** Names; none: all that the scenario compares. */
  servers: readonly string[];
  peers: boolean;
  rounds: number;
  progress(text: string): void;
};

export type ScenarioReport = {
  name: string;
  /** Load and conditions in words, printed above the table. */
  heading: string;
  table: { columns: readonly string[]; rows: readonly (readonly string[])[] };
  /** One line for each way in which deliveries went wrong; a run with any fails. */
  faults: readonly string[];
  /** For the JSON file: the load, every sample, the medians. */
  data: unknown;
};
