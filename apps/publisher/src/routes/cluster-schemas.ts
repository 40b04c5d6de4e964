import { serviceDescription, workerDescription } from "@fanwire/protocol";
import { z } from "@hono/zod-openapi";

export const keyReply = z
  .object({
    scope: z
      .enum(["full", "read", "open"])
      .describe("`full`: everything. `read`: GET only. `open`: the publisher has no keys, and allows everything."),
  })
  .openapi("Key");

// Created again, because the document can name only schemas that were created after zod-openapi was loaded.
const worker = z.object(workerDescription.omit({ process: true }).shape).openapi("Worker");
const service = z.object(serviceDescription.shape).openapi("Service");

const natsNode = z
  .object({
    name: z.string(),
    version: z.string().optional().describe("Absent if none of our processes is connected to it."),
    cluster: z.string().optional().describe("Name of its cluster. Absent if it runs alone or is not known."),
    connectedFrom: z.int().describe("Number of workers and services that are connected to it and have answered."),
  })
  .openapi("NatsNode");

const history = z
  .object({
    messages: z.int(),
    bytes: z.int(),
    maxBytes: z.int().nullable().describe("Null without a limit."),
    maxAgeSeconds: z.number().nullable().describe("Null without a limit."),
    firstPosition: z.string().nullable().describe("Position of the oldest stored publication. Null if none is stored."),
    lastPosition: z.string().describe("Position of the newest publication that was stored."),
    leader: z.string().optional().describe("NATS node that leads the stream. Absent without a NATS cluster."),
    replicas: z
      .array(
        z.object({
          name: z.string(),
          isCurrent: z.boolean().describe("Whether it has everything that the leader has confirmed."),
          lag: z.int().describe("Number of operations by which it is behind the leader."),
        }),
      )
      .describe("The other NATS nodes that keep the stream."),
  })
  .openapi("HistoryStream");

export const clusterReply = z
  .object({
    workers: z.array(worker).describe("All workers that answered, sorted by id."),
    missing: z
      .array(z.string())
      .optional()
      .describe("Ids of known workers that did not answer, because they hang or reconnect to NATS."),
    complete: z
      .literal(false)
      .optional()
      .describe("Present unless all workers that may exist have answered. There may be more workers."),
    services: z
      .array(service)
      .describe("All publishers, channel servers and webhook senders that answered, sorted by kind and id."),
    nats: z
      .array(natsNode)
      .describe(
        "NATS nodes to which workers and services are connected, and those that keep the history, sorted by name.",
      ),
    history: history
      .nullable()
      .describe("Null if it is not known, or without JetStream. `historyProblem` has the reason."),
    historyProblem: z.string().optional().describe("Why `history` is null, for people."),
  })
  .openapi("Cluster");
