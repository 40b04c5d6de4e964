import type { Address } from "./connection.ts";
import type { Dialect } from "./dialect.ts";
import type { Latency } from "./recorder.ts";
import type { Faults } from "./sequence-check.ts";

/** Calls of the load client, one after the other: `open`, then repeatedly `expect` and `settle`. */
export type ClientCalls = {
  open: { ask: OpenPlan; answer: null };
  /** Starts to count these publications. Returns at once. */
  expect: { ask: Expectation; answer: null };
  /** Returns when every connection has received what is expected, or nothing has arrived for `quietMs`. */
  settle: { ask: { quietMs: number }; answer: ClientReport };
};

export type OpenPlan = {
  address: Address;
  dialect: Dialect;
  connections: number;
  /** Number of the first connection; 0 when absent. */
  from?: number;
  /** Publications that are sent while the connections open. */
  expectation?: Expectation;
};

export type Expectation = {
  /** Publications since the start that every connection must receive. */
  total: number;
  /** First sequence whose latency is recorded, and then of every `recordEvery`-th. */
  recordFrom: number;
  recordEvery: number;
};

export type ClientReport = {
  latency: Latency;
  /** Time on the machine's clock at which the last connection had everything, or the wait ended. */
  settledAtMicros: number;
  cpuMicros: number;
  faults: ClientFaults;
};

export type ClientFaults = Faults & {
  /** Frames that are neither publications of the bench nor greetings. */
  foreign: number;
  /** Connections that the server ended. */
  ended: number;
  /** Reason of the first of them. */
  firstEnd?: string;
};
