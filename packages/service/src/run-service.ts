import { knownSettings } from "./known-settings.ts";
import type { Log } from "./log.ts";
import { ConfigError, describeSettings } from "./settings.ts";
import { type UnknownSetting, unknownSettings } from "./unknown-settings.ts";

/** A part that runs until it is stopped. `stop()` may be called twice. */
export type Running = { stop(): Promise<void> };

export type Service<Config> = {
  /** Name of its package, for example `pusher`. */
  readonly name: string;
  /** One sentence for `--help`. */
  readonly summary: string;
  readonly settings: Parameters<typeof describeSettings>[0];
  readConfig(env: NodeJS.ProcessEnv): Config;
  createLog(config: Config): Log;
  /** Returns warnings about a configuration that is valid but risky, one sentence each. */
  warnings?(config: Config): readonly string[];
  /**
   * Resolves when the service is usable. `signal` aborts when the process must stop before that. Rejects with a
   * ConfigError when the machine lacks something that the service needs. Its message is printed unchanged.
   */
  start(config: Config, log: Log, signal: AbortSignal): Promise<Running>;
};

/**
 * Runs a service as a process: `--help`, configuration, start, signals, exit code. SIGTERM and SIGINT stop it
 * gracefully with exit code 0, a second signal at once with 1. A wrong configuration or a failed start exits with 1. An
 * unknown variable with one of our prefixes causes a warning, or with `FANWIRE_STRICT_CONFIG=on` a failed start.
 */
export async function runService<Config>(service: Service<Config>, env: NodeJS.ProcessEnv): Promise<void> {
  if (process.argv.includes("--help") || process.argv.includes("-h")) {
    process.stdout.write(help(service));
    return;
  }

  const unknown = unknownSettings(env, knownSettings);
  const config = readConfigOrExit(service, env, unknown);
  const log = service.createLog(config);
  for (const { name, nearest } of unknown) log.warn({ name, nearest }, "unknown environment variable ignored");
  for (const warning of service.warnings?.(config) ?? []) log.warn(warning);
  const stopAsked = new AbortController();
  const signalled = onceSignalled(log, () => stopAsked.abort());
  process.on("unhandledRejection", (error) => exitBroken(log, error));
  process.on("uncaughtException", (error) => exitBroken(log, error));

  try {
    const running = await service.start(config, log, stopAsked.signal);
    await signalled;
    await running.stop();
  } catch (error) {
    if (!stopAsked.signal.aborted) {
      if (error instanceof ConfigError) exitMisconfigured(service.name, error.message);
      log.fatal({ err: error }, "start failed");
      process.exit(1);
    }
  }
  log.info("stopped");
  // Remaining handles, such as keep-alive sockets of clients, must not keep the process alive.
  process.exit(0);
}

/** Reads the configuration, or exits with one message that names all errors in it. */
function readConfigOrExit<Config>(
  service: Service<Config>,
  env: NodeJS.ProcessEnv,
  unknown: readonly UnknownSetting[],
): Config {
  const complaints = unknown.length === 0 ? [] : [`${UNKNOWN}\n${unknown.map(describeUnknown).join("\n")}`];
  try {
    const config = service.readConfig(env);
    if (env.FANWIRE_STRICT_CONFIG !== "on" || complaints.length === 0) return config;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    complaints.unshift(error.message);
  }
  exitMisconfigured(service.name, `${complaints.join("\n")}\nSee --help for all variables.`);
}

/** Prints the message without a stack trace and exits with 1. */
function exitMisconfigured(name: string, message: string): never {
  process.stderr.write(`fanwire ${name}: ${message}\n`);
  process.exit(1);
}

const UNKNOWN = "These environment variables are unknown, perhaps misspelt:";

function describeUnknown({ name, nearest }: UnknownSetting): string {
  return `  ${name}: the nearest known name is ${nearest}`;
}

function onceSignalled(log: Log, onFirst: () => void): Promise<void> {
  return new Promise((resolve) => {
    let signals = 0;
    const onSignal = (name: NodeJS.Signals) => {
      signals++;
      if (signals > 1) {
        log.warn({ signal: name }, "second signal, exiting");
        process.exit(1);
      }
      log.info({ signal: name }, "stopping");
      onFirst();
      resolve();
    };
    process.on("SIGTERM", onSignal);
    process.on("SIGINT", onSignal);
  });
}

function exitBroken(log: Log, error: unknown): never {
  log.fatal({ err: error }, "unhandled error, exiting");
  process.exit(1);
}

function help(service: Pick<Service<unknown>, "name" | "summary" | "settings">): string {
  const rows = describeSettings(service.settings).map(
    ({ name, default: text, description }) => `  ${name}${text === "" ? "" : ` (${text})`}\n      ${description}`,
  );
  return `fanwire ${service.name}: ${service.summary}\n\nEnvironment variables (defaults in brackets):\n\n${rows.join("\n")}\n`;
}
