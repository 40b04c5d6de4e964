import type { Address } from "../client/connection.ts";
import type { Lab } from "../lab.ts";
import type { PublishPlan } from "../pacer.ts";

/** Something that pushes to WebSocket connections: the pusher, or what it is compared with. */
export type Server = {
  readonly name: string;
  /** One line for the table's legend. */
  readonly summary: string;
  /** Resolves when it accepts connections. */
  start(lab: Lab): Promise<RunningServer>;
};

export type RunningServer = {
  /** Of the process whose CPU time, with its descendants', is the server's. */
  readonly pid: number;
  readonly address: Address;
  /** Frames it sends each connection before any publication. */
  readonly greetings: number;
  /** Carries out the plan, to every connection. Resolves, when the last is handed over, with the moment of the start. */
  publish(plan: PublishPlan): Promise<number>;
  /** Rejects when it ends before it was told to; never resolves. */
  readonly died: Promise<never>;
  stop(): Promise<void>;
};
