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
export { registerBusMetrics } from "./metrics.ts";
export { type NatsBus, startNatsBus } from "./nats.ts";
export { type BusConfig, busConfigFrom, sharedSettings } from "./settings.ts";
