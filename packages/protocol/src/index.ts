export { type CloseAdvice, type CloseCode, closeAdvice, closeCodes } from "./close-codes.ts";
export {
  type ConnectionAddress,
  formatConnectionAddress,
  isWorkerId,
  isWorkermanWorkerId,
  parseConnectionAddress,
  parseConnectionId,
  workerIdFrom,
} from "./connection-address.ts";
export { type ConnectionDescription, connectionDescription } from "./connection-description.ts";
export {
  type Announcement,
  announcement,
  type ControlRequest,
  connectionReply,
  controlRequest,
  type DeliveryOutcome,
  deliveryReply,
  endedReply,
  type MemberNamesOfReply,
  type MemberNamesReply,
  type MembersReply,
  memberNamesOfReply,
  memberNamesReply,
  membersReply,
  type RecallAllReply,
  type RecallReply,
  type ReceiptReply,
  recallAllReply,
  recallReply,
  receiptReply,
  subscribeReply,
  subscribersReply,
  type UserReply,
  userReply,
} from "./control.ts";
export {
  type ClusterEvent,
  type EventName,
  eventNames,
  parseClusterEvent,
  parseSnapshotPage,
  parseSnapshotRequest,
  parseWorkerReport,
  type ReportedFact,
  type SnapshotPage,
  type SnapshotRequest,
  type WorkerReport,
} from "./events.ts";
export {
  DEFAULT_EVENT,
  decodeHeaderName,
  encodeHeaderName,
  headerNames,
  isReservedEvent,
  messageId,
  streamHeaderNames,
  VIA_CHANNEL,
} from "./headers.ts";
export {
  type BusyPlace,
  busyPlace,
  type ConnectionsReply,
  connectionsReply,
  type ListRequest,
  MAX_BUSIEST,
  MAX_SEARCH,
  type SubscriptionsReply,
  subscriptionsReply,
  type TopicsReply,
  topicsReply,
  type UsersReply,
  usersReply,
} from "./list-messages.ts";
export { isSmallInfo, MAX_INFO_BYTES } from "./member-info.ts";
export { isHeaderName, isName, MAX_NAME_BYTES } from "./names.ts";
export { formatPosition, type Position, parsePosition } from "./position.ts";
export {
  type PresenceAnnouncement,
  type PresenceAnswer,
  type PresenceAsk,
  type PresenceFence,
  type PresenceNotice,
  type PresentUser,
  presenceAnnouncement,
  presenceMessage,
  presenceNotice,
} from "./presence.ts";
export {
  type NatsNode,
  type ServiceDescription,
  serviceDescription,
  type WorkerDescription,
  workerDescription,
} from "./process-description.ts";
export { protocolNames } from "./protocol-names.ts";
export type { Publication } from "./publication.ts";
export {
  type HistoryState,
  limitSince,
  type MissingReason,
  missingReason,
  type NotRecovered,
  type Replay,
  type SubjectLimit,
} from "./recovery-proof.ts";
export { isRestricted, isRestrictedPrefix, NAMESPACE_PREFIX } from "./restricted-topics.ts";
export { encodeToken } from "./subject-tokens.ts";
export { DEFAULT_PREFIX, isPrefix, Subjects } from "./subjects.ts";
export type { DurableTarget, Target } from "./target.ts";
export { isTopic, isTopicPattern, matchesTopic, patternsOverlap } from "./topics.ts";
export {
  isTraced,
  type ReportedKind,
  reportedKinds,
  type TracedConnection,
  type TracedEvent,
  type TracedRecovery,
  type TracedSubscription,
  type TraceFilter,
  type TraceKind,
  type TraceLease,
  type TraceReport,
  type TraceSubject,
  tracedConnection,
  tracedRecovery,
  tracedSubscription,
  traceKinds,
  traceLease,
  traceLeaseReply,
  traceReport,
} from "./trace.ts";
