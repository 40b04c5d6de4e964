import type { Address } from "./connection.ts";
import type { Dialect } from "./dialect.ts";
import type { Faults } from "./order.ts";
import type { Latency } from "./recorder.ts";

/** What the load client is asked; one call after the other, in this order: open, then await and report, again and again. */
export type ClientCalls = {
  open: { ask: OpenPlan; answer: null };
  /** From now on count these; answered at once. */
  expect: { ask: Expectation; answer: null };
  /** Answered when every connection has what is expected, or nothing has arrived for a while. */
  settle: { ask: { quietMs: number }; answer: ClientReport };
};

export type OpenPlan = {
  address: Address;
  dialect: Dialect;
  connections: number;
  /** What they are sent while they open; else `expect` says it later. */
  expectation?: Expectation;
};

export type Expectation = {
  /** Publications since the beginning that every connection must have seen in the end. */
  total: number;
  /** Latency is recorded from this sequence on, of one sequence in `recordEvery`. */
  recordFrom: number;
  recordEvery: number;
};

export type ClientReport = {
  latency: Latency;
  /** On the machine's clock; when the last connection had everything, or gave up. */
  settledAtMicros: number;
  cpuMicros: number;
  faults: ClientFaults;
};

export type ClientFaults = Faults & {
  /** Frames that are neither ours nor a greeting. */
  foreign: number;
  /** Connections that ended by themselves. */
  ended: number;
  /** Why the first of them did. */
  firstEnd?: string;
};
