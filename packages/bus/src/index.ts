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
} from "./bus.ts";
export { registerBusMetrics } from "./metrics.ts";
export { type NatsBus, startNatsBus } from "./nats.ts";
export { type BusConfig, busConfigFrom, sharedSettings } from "./settings.ts";
