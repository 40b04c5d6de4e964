import type { Bus, History } from "@fanwire/bus";
import type { Subjects } from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import type { PusherConfig } from "../config.ts";
import type { ClientProtocol } from "../connections/client-protocol.ts";
import type { Connection } from "../connections/connection.ts";
import type { Connections } from "../connections/connections.ts";
import type { Counters } from "../connections/counters.ts";
import type { MemoryBudget } from "../connections/memory-budget.ts";
import type { EventReporter } from "../events/event-reporter.ts";
import type { Traces } from "../events/traces.ts";
import type { ProtocolGroups } from "../fanout/subscriber-groups.ts";

/** Parts of the worker that the hub uses. */
export type HubParts = {
  readonly config: PusherConfig;
  readonly workerId: string;
  readonly bus: Bus;
  readonly subjects: Subjects;
  readonly counters: Counters;
  readonly protocols: readonly ClientProtocol[];
  readonly connections: Connections<Connection>;
  readonly groups: ProtocolGroups;
  readonly history: History;
  readonly budget: MemoryBudget;
  /** Undefined without events of the cluster. */
  readonly events?: EventReporter | undefined;
  readonly traces: Traces;
  readonly log: Log;
};
