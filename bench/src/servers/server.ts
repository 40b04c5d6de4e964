import type { Address } from "../client/connection.ts";
import type { Dialect } from "../client/dialect.ts";
import type { Lab } from "../lab.ts";
import type { PublishPlan } from "../pacer.ts";

/** A server that pushes to connections: the pusher, or one with which it is compared. */
export type Server = {
  readonly name: string;
  /** One line for `--help`. */
  readonly summary: string;
  /** Resolves when it accepts connections. Throws `Absent` when this machine lacks its software. */
  start(lab: Lab): Promise<RunningServer>;
};

export type RunningServer = {
  /** Id of the process whose CPU time and memory are measured, with its descendants. */
  readonly pid: number;
  readonly address: Address;
  readonly dialect: Dialect;
  /**
   * Publishes the plan to every connection. Resolves with the time of the start, once the last publication is handed
   * over.
   */
  publish(plan: PublishPlan): Promise<number>;
  /** Rejects when the server ends before it is stopped. Never resolves. */
  readonly died: Promise<never>;
  stop(): Promise<void>;
};

/** A compared server is not installed. The message names what is missing. The run continues without it. */
export class Absent extends Error {}
