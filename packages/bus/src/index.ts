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
export type { EntryConsumer, EntryReceiver } from "./history/entry-consumer.ts";
export { epochFrom, isEarlierEpoch, isSameCreation } from "./history/epoch.ts";
export type {
  AppendOutcome,
  History,
  HistoryFailure,
  HistoryFailureReason,
  Outcome,
  ReadOutcome,
  ReadPage,
  ReadRequest,
  StoredPublication,
} from "./history/history.ts";
export { type JetStreamHistory, openJetStreamHistory } from "./history/jetstream-history.ts";
export { countSubjects, type ReadReplay } from "./history/proof.ts";
export { type StoredPlace, storedPlace } from "./history/stored-place.ts";
export { JetStreamWorkQueue, type WorkQueueConfig } from "./jetstream-work-queue.ts";
export { LateBus } from "./late-bus.ts";
export { registerBusMetrics } from "./metrics.ts";
export { type NatsBus, startNatsBus } from "./nats.ts";
export { type BusConfig, busConfigFrom, type HistoryConfig, historyConfigFrom, sharedSettings } from "./settings.ts";
export { SharedAnswer } from "./shared-answer.ts";
export { within } from "./within.ts";
export type { EnqueueOutcome, Taker, WorkItem, WorkQueue } from "./work-queue.ts";
