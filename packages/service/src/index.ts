export { type Admin, type AdminSource, type Readiness, startAdmin } from "./admin-server.ts";
export { processFacts, processLoad } from "./describe-process.ts";
export { createLog, type Log, type LogLevel, logLevels } from "./log.ts";
export { isLoopback } from "./loopback.ts";
export { createRegistry } from "./metrics.ts";
export { hasProcessEnded, identifyProcess } from "./process-identity.ts";
export { type Running, runService, type Service } from "./run-service.ts";
export { ConfigError, describeSettings, readSettings, type SettingRow, setting } from "./settings.ts";
export { VERSION } from "./version.ts";
