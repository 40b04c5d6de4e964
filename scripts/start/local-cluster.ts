import { join } from "node:path";
import { Child } from "./child.ts";
import { LocalNats, wantedNatsPort } from "./local-nats.ts";
import type { FindOptions, NatsServer } from "./nats-server.ts";
import { Leftovers } from "./pid-file.ts";
import { isPortTaken } from "./ports.ts";
import { waitUntilReady } from "./readiness.ts";
import { adminAddress, hostInUrl, type ServiceSpec, serviceAddress } from "./services.ts";

const readyTimeoutMs = 120_000;

export type LocalClusterOptions = {
  /** The repository: where the services run and `.fanwire` is kept. */
  readonly root: string;
  readonly services: readonly ServiceSpec[];
  readonly env: NodeJS.ProcessEnv;
  /** Port of our own NATS unless FANWIRE_NATS_PORT is set. A free one is used instead when it is taken. */
  readonly natsPort: number;
  /** How Node runs a main file from source. */
  readonly nodeFlags: readonly string[];
  findNats(options: FindOptions): Promise<NatsServer>;
  /** Prints a line for the developer. */
  say(line: string): void;
  /** Receives a line of output of a service. */
  onLine(name: string, line: string): void;
};

/**
 * NATS and the services on this machine, as child processes. Only one at a time runs from one `root`.
 * `stop()` and `kill()` may be called at any moment, also while it starts.
 */
export class LocalCluster {
  /** Why it cannot continue: a service or NATS has ended. Pending while all of them run. */
  readonly failed: Promise<string>;
  readonly #options: LocalClusterOptions;
  readonly #leftovers: Leftovers;
  readonly #stopAsked = new AbortController();
  readonly #running: Child[] = [];
  #nats: LocalNats | undefined;
  #starting: Promise<void> | undefined;
  #fail: (reason: string) => void = () => undefined;

  constructor(options: LocalClusterOptions) {
    this.#options = options;
    this.#leftovers = new Leftovers(join(options.root, ".fanwire", "running.json"));
    this.failed = new Promise((resolve) => {
      this.#fail = resolve;
    });
  }

  /**
   * Resolves with the URL of NATS when every service is ready.
   *
   * @throws Error for the developer when something cannot start. Call `stop()` then, as after a success.
   */
  start(): Promise<string> {
    const starting = this.#start();
    this.#starting = starting.then(
      () => undefined,
      () => undefined,
    );
    return starting;
  }

  /** Services first, so that they can finish what is in hand over NATS. */
  async stop(): Promise<void> {
    this.#stopAsked.abort();
    await Promise.all(this.#running.map((child) => child.stop()));
    await this.#nats?.stop();
    await this.#starting;
    await this.#leftovers.clear();
  }

  /** Ends everything at once. */
  kill(): void {
    this.#stopAsked.abort();
    for (const child of this.#running) child.kill();
    this.#nats?.kill();
  }

  async #start(): Promise<string> {
    const { env, say } = this.#options;
    await this.#leftovers.claim(say);
    await this.#checkPorts();
    const url = env.FANWIRE_NATS_URL || (await this.#startNats());
    if (!this.#nats) say("Using the NATS of FANWIRE_NATS_URL.");
    this.#stopAsked.signal.throwIfAborted();
    const ready = this.#options.services.map((spec) => this.#startService(spec, url));
    await Promise.all(ready);
    return url;
  }

  async #checkPorts(): Promise<void> {
    const { services, env } = this.#options;
    const addresses = services.flatMap((spec) => [serviceAddress(spec, env) ?? [], adminAddress(spec, env)].flat());
    for (const { variable, host, port } of addresses) {
      if (!Number.isInteger(port) || port < 1 || port > 65_535) {
        throw new Error(`${variable} must be a port between 1 and 65535 here; it is ${env[variable]}.`);
      }
      if (await isPortTaken(port, host)) {
        throw new Error(
          `Port ${port} is taken. Stop what listens there, or choose another with ${variable}=… npm start`,
        );
      }
    }
  }

  async #startNats(): Promise<string> {
    const { root, env, natsPort, findNats, say, onLine } = this.#options;
    const { path, version, source } = await findNats({ env, signal: this.#stopAsked.signal, say });
    say(`nats-server ${version} (${source}: ${path})`);
    const nats = new LocalNats({
      path,
      folder: join(root, ".fanwire"),
      ...wantedNatsPort(env, natsPort),
      cwd: root,
      env,
      say,
      onLine: (line) => onLine("nats-server", line),
      onChild: (child) => this.#leftovers.add(child),
    });
    this.#stopAsked.signal.throwIfAborted();
    this.#nats = nats;
    await nats.start();
    void nats.failed.then((reason) => this.#fail(reason));
    say(`nats-server is ready on ${nats.url}.`);
    return nats.url;
  }

  async #startService(spec: ServiceSpec, natsUrl: string): Promise<void> {
    const { root, env, nodeFlags, say, onLine } = this.#options;
    const startedAt = Date.now();
    const child = new Child({
      name: spec.name,
      command: process.execPath,
      args: [...nodeFlags, join(root, spec.main)],
      cwd: root,
      env: { ...env, ...missing(spec.defaults, env), FANWIRE_NATS_URL: natsUrl },
      onLine: (line) => onLine(spec.name, line),
    });
    this.#running.push(child);
    await this.#leftovers.add(child);

    const { host, port } = adminAddress(spec, env);
    const died = child.ended.then((how) => `${spec.name} has ended (${how}).`);
    const diedEarly = died.then((reason) => {
      throw new Error(`${reason} Its last words:\n${child.lastLines.map((line) => `    ${line}`).join("\n")}`);
    });
    const ready = waitUntilReady({
      url: `http://${hostInUrl(host)}:${port}/readyz`,
      timeoutMs: readyTimeoutMs,
      signal: this.#stopAsked.signal,
      onStillWaiting: (answer) => say(`Still waiting for ${spec.name}: ${answer}`),
    });
    await Promise.race([ready, diedEarly]);
    void died.then((reason) => this.#fail(reason));
    say(`${spec.name} is ready after ${((Date.now() - startedAt) / 1000).toFixed(1)} s.`);
  }
}

/** The defaults of variables the user has not set; `NAME=` is not set either. */
function missing(defaults: Readonly<Record<string, string>>, env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(defaults).filter(([name]) => !env[name]));
}
