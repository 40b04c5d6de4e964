import { type Logger, type LoggerOptions, pino } from "pino";
import { standardOutput } from "./log-output.ts";

export type Log = Logger;

export const logLevels = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
export type LogLevel = (typeof logLevels)[number];

/** JSON lines on standard output. Content, tokens and whole configurations are never logged. */
export function createLog(service: string, level: LogLevel): Log {
  const options: LoggerOptions = {
    level,
    base: { service },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
  };
  return pino(options, standardOutput);
}
