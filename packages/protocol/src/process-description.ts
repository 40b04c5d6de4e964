import * as z from "zod";

/** A NATS node to which a process is connected, as the node introduced itself. */
const natsNode = z.object({
  name: z.string(),
  version: z.string(),
  cluster: z.string().optional().describe("Name of its cluster. Absent if it runs alone."),
});
export type NatsNode = z.infer<typeof natsNode>;

const processFacts = {
  host: z.string(),
  pid: z.int(),
  version: z.string(),
  uptimeSeconds: z.number().describe("Whole seconds since the process started."),
};

const load = {
  memory: z.object({
    residentBytes: z.int().describe("Bytes of the process in physical memory."),
    heapBytes: z.int().describe("Bytes of its JavaScript objects."),
  }),
  eventLoopDelayMs: z
    .number()
    .describe("Longest delay of its event loop within about the last ten seconds, in milliseconds."),
  nats: natsNode.describe("The NATS node to which it is connected."),
};

/** One worker, as `GET /v1/cluster` shows it, and the identity of its process. */
export const workerDescription = z.object({
  id: z.string(),
  ...processFacts,
  /** As in its announcement. */
  process: z.string().optional(),
  connections: z.int(),
  /** Averages over about ten seconds. */
  rates: z.object({
    publicationsPerSecond: z.number(),
    deliveriesPerSecond: z.number(),
    bytesPerSecond: z.number(),
    acceptedPerSecond: z.number(),
  }),
  // The fields below are in detailed descriptions. Workers of earlier versions send none of them.
  users: z.int().optional().describe("Users with connections to it."),
  topics: z.int().optional().describe("Distinct topics and patterns to which its connections are subscribed."),
  memory: load.memory.optional(),
  eventLoopDelayMs: load.eventLoopDelayMs.optional(),
  unsentBytes: z
    .int()
    .optional()
    .describe(
      "Bytes that it buffers for connections that read slowly. They may have been counted ten seconds ago. Absent if counting takes long.",
    ),
  history: z
    .object({
      position: z.string().nullable().describe("Position up to which it has processed the history. Null without one."),
      isCurrent: z.boolean().describe("Whether it reads the history, and no publication waits to be delivered."),
      lagMs: z
        .number()
        .optional()
        .describe(
          "Milliseconds for which it has not read the history, or its first undelivered publication has waited.",
        ),
    })
    .optional(),
  nats: load.nats.optional(),
});
export type WorkerDescription = z.infer<typeof workerDescription>;

/** Reply of a process that is no worker to a request on `fanwire.control.services`. */
export const serviceDescription = z.object({
  kind: z.enum(["publisher", "channel", "webhooks"]),
  id: z.string().describe("Random. A process has another one at each start."),
  ...processFacts,
  ...load,
  counts: z
    .record(z.string(), z.number())
    .describe("Numbers of its kind. Those with a name that ends with `Total` count since the process started."),
});
export type ServiceDescription = z.infer<typeof serviceDescription>;
