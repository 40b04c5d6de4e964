import type { Log } from "./log.ts";
import { ConfigError, describeSettings } from "./settings.ts";

/** A part that runs until it is stopped. `stop()` may be called twice. */
export type Running = { stop(): Promise<void> };

export type Service<Config> = {
  /** As in the name of its package: `pusher`. */
  readonly name: string;
  /** One sentence for `--help`. */
  readonly summary: string;
  readonly settings: Parameters<typeof describeSettings>[0];
  readConfig(env: NodeJS.ProcessEnv): Config;
  createLog(config: Config): Log;
  /** Resolves when the service is usable. `signal` aborts when a stop is asked for before that. */
  start(config: Config, log: Log, signal: AbortSignal): Promise<Running>;
};

/**
 * The life of a process: `--help`, configuration, start, signals, exit code. SIGTERM and SIGINT stop it in order and
 * exit with 0; a second one ends it at once with 1. A wrong configuration or a failed start exits with 1.
 */
export async function run<Config>(service: Service<Config>, env: NodeJS.ProcessEnv): Promise<void> {
  if (process.argv.includes("--help") || process.argv.includes("-h")) {
    process.stdout.write(help(service));
    return;
  }

  const config = readConfigOrExit(service, env);
  const log = service.createLog(config);
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
      log.fatal({ err: error }, "could not start");
      process.exit(1);
    }
  }
  log.info("stopped");
  // What is left, such as a keep-alive socket of somebody else, must not hold the process.
  process.exit(0);
}

function readConfigOrExit<Config>(service: Service<Config>, env: NodeJS.ProcessEnv): Config {
  try {
    return service.readConfig(env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`fanwire ${service.name}: ${error.message}\nSee --help for all of them.\n`);
    process.exit(1);
  }
}

function onceSignalled(log: Log, onFirst: () => void): Promise<void> {
  return new Promise((resolve) => {
    let signals = 0;
    const onSignal = (name: NodeJS.Signals) => {
      signals++;
      if (signals > 1) {
        log.warn({ signal: name }, "second signal, ending at once");
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
  log.fatal({ err: error }, "an error nobody handled; ending, so that a clean process takes over");
  process.exit(1);
}

function help(service: Pick<Service<unknown>, "name" | "summary" | "settings">): string {
  const rows = describeSettings(service.settings).map(
    ({ name, default: text, description }) => `  ${name}${text === "" ? "" : ` (${text})`}\n      ${description}`,
  );
  return `fanwire ${service.name}: ${service.summary}\n\nEnvironment variables (defaults in brackets):\n\n${rows.join("\n")}\n`;
}
