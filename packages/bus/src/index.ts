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
} from "./connection/bus.ts";
export { CoalescedRequest } from "./connection/coalesced-request.ts";
export { parseJson } from "./connection/message-json.ts";
export { NatsBus, startNatsBus } from "./connection/nats-bus.ts";
export { answerServiceRequests } from "./connection/service-answers.ts";
export {
  type BusConfig,
  busConfigFrom,
  type HistoryConfig,
  historyConfigFrom,
  sharedSettings,
} from "./connection/settings.ts";
export { withTimeout } from "./connection/timeout.ts";
export type { EntryConsumer, EntryReceiver } from "./history/entry-consumer.ts";
export { epochFrom, isEarlierEpoch, isSameCreation, markedDescription } from "./history/epoch.ts";
export type {
  AppendOutcome,
  History,
  HistoryFailure,
  HistoryFailureReason,
  LostPublications,
  LostSubjects,
  Outcome,
  ReadOutcome,
  ReadPage,
  ReadReplay,
  ReadRequest,
  StoredPublication,
  StreamDescription,
} from "./history/history.ts";
export { type JetStreamHistory, openJetStreamHistory } from "./history/jetstream-history.ts";
export { countSubjects } from "./history/proof-facts.ts";
export { type StoredPlace, storedPlace } from "./history/stored-place.ts";
export { JournalError } from "./journal/append-reply.ts";
export { Journal, type JournalConfig, type JournalEntry } from "./journal/journal.ts";
export { registerBusMetrics } from "./metrics.ts";
export { JetStreamWorkQueue, type WorkQueueConfig } from "./work-queue/jetstream-work-queue.ts";
export type { EnqueueOutcome, Taker, WorkItem, WorkQueue } from "./work-queue/work-queue.ts";
