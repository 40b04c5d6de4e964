export type {
  Bus,
  BusHealth,
  BusMessage,
  BusPublication,
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
export type {
  AppendOutcome,
  DurableLog,
  LogFailure,
  LogFailureReason,
  LoggedPublication,
  Outcome,
  ReadOutcome,
  ReadPage,
  ReadRequest,
} from "./durable-log.ts";
export { JetStreamWorkQueue, type WorkQueueConfig } from "./jetstream-work-queue.ts";
export { LateBus } from "./late-bus.ts";
export { type JetStreamLog, openJetStreamLog } from "./log.ts";
export { registerBusMetrics } from "./metrics.ts";
export { type NatsBus, startNatsBus } from "./nats.ts";
export { type BusConfig, busConfigFrom, type LogConfig, logConfigFrom, sharedSettings } from "./settings.ts";
export { SharedAnswer } from "./shared-answer.ts";
export { within } from "./within.ts";
export type { EnqueueOutcome, Taker, WorkItem, WorkQueue } from "./work-queue.ts";
