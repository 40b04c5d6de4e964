import { type Logger, type LoggerOptions, pino } from "pino";
import { standardOutput } from "./log-output.ts";

export type Log = Logger;

export const logLevels = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
export type LogLevel = (typeof logLevels)[number];

type Destination = { write(line: string): void };

/**
 * Creates a logger of JSON lines, by default on standard output. Callers never log content, tokens or whole
 * configurations.
 */
export function createLog(service: string, level: LogLevel, destination: Destination = standardOutput): Log {
  const options: LoggerOptions = {
    level,
    base: { service },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
  };
  return pino(options, destination);
}
