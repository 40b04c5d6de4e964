import type { Address } from "../client/connection.ts";
import type { Dialect } from "../client/dialect.ts";
import type { Lab } from "../lab.ts";
import type { PublishPlan } from "../pacer.ts";

/** Something that pushes to connections: the pusher, or what it is compared with. */
export type Server = {
  readonly name: string;
  /** One line for the help. */
  readonly summary: string;
  /** Resolves when it accepts connections. Throws `Absent` where this machine lacks what it needs. */
  start(lab: Lab): Promise<RunningServer>;
};

export type RunningServer = {
  /** Of the process whose CPU time and memory, with its descendants', are the server's. */
  readonly pid: number;
  readonly address: Address;
  readonly dialect: Dialect;
  /** Carries out the plan, to every connection. Resolves, when the last is handed over, with the moment of the start. */
  publish(plan: PublishPlan): Promise<number>;
  /** Rejects when it ends before it was told to; never resolves. */
  readonly died: Promise<never>;
  stop(): Promise<void>;
};

/** A peer is not installed here; the message says what is missing. The run goes on without it. */
export class Absent extends Error {}
