export type {
  Bus,
  BusHealth,
  BusMessage,
  BusSubscription,
  BusTraffic,
  GatherOutcome,
  HeaderEntries,
  PublishFailure,
  PublishOutcome,
  RequestFailure,
  RequestOutcome,
  SendOutcome,
} from "./bus.ts";
export { JetStreamWorkQueue, type WorkQueueConfig } from "./jetstream-work-queue.ts";
export { registerBusMetrics } from "./metrics.ts";
export { type NatsBus, startNatsBus } from "./nats.ts";
export { type BusConfig, busConfigFrom, sharedSettings } from "./settings.ts";
export type { EnqueueOutcome, Taker, WorkItem, WorkQueue } from "./work-queue.ts";
