import { randomUUID } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { deadlineSignal } from "../../packages/service/src/deadline.ts";
import { isServiceLink } from "../../packages/service/src/service-links.ts";
import { Child } from "./child.ts";
import { findFreePort, isPortTaken } from "./ports.ts";

const startTimeoutMs = 30_000;
/** Starting a server again does not help if it ends again and again. */
const maxRestarts = 5;
const restartWindowMs = 60_000;
/**
 * Another process, such as a clone that starts now, may bind the port between our check and the start of nats-server.
 */
const maxPortTries = 5;

/** Largest frame of the channel server (10 MiB), with headers and envelope. */
const maxPayloadBytes = 11 * 1_048_576;

export type LocalNatsOptions = {
  readonly path: string;
  /** Folder of its configuration; JetStream stores its data in the subfolder `nats`. */
  readonly folder: string;
  /** Replaced by a free port when it is taken, unless `isPortFixed`. */
  readonly port: number;
  readonly isPortFixed: boolean;
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  say(line: string): void;
  onLine(line: string): void;
  onChild(child: Child): Promise<void>;
};

/** Port for our own NATS, and whether the developer has fixed it. */
export type WantedPort = { readonly port: number; readonly isPortFixed: boolean };

/**
 * Returns `FANWIRE_NATS_PORT`, or `usual` when that is not set.
 *
 * @throws Error when it is no port.
 */
export function wantedNatsPort({ FANWIRE_NATS_PORT: text = "" }: NodeJS.ProcessEnv, usual: number): WantedPort {
  if (text === "" || isServiceLink("FANWIRE_NATS_PORT", text)) return { port: usual, isPortFixed: false };
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new Error(`FANWIRE_NATS_PORT must be a port between 1 and 65535; it is ${text}.`);
  }
  return { port, isPortFixed: true };
}

/** A nats-server with JetStream on loopback, started again when it dies. */
export class LocalNats {
  /** Why NATS has ended permanently; pending until then. */
  readonly failed: Promise<string>;
  readonly #options: LocalNatsOptions;
  readonly #stopAsked = new AbortController();
  #port: number;
  #child: Child | undefined;
  #fail: (reason: string) => void = () => undefined;

  constructor(options: LocalNatsOptions) {
    this.#options = options;
    this.#port = options.port;
    this.failed = new Promise((resolve) => {
      this.#fail = resolve;
    });
  }

  /** URL of the server, final once it has started. */
  get url(): string {
    return `nats://127.0.0.1:${this.#port}`;
  }

  /** @throws Error with its last words when it does not come up. */
  async start(): Promise<void> {
    const { folder } = this.#options;
    await mkdir(join(folder, "nats"), { recursive: true });
    await writeFile(join(folder, "nats.conf"), `max_payload: ${maxPayloadBytes}\n`);
    for (let tries = 1; ; tries++) {
      await this.#choosePort();
      try {
        await this.#spawn();
        break;
      } catch (error) {
        if (tries === maxPortTries || !isAddressInUse(this.#child)) throw error;
      }
    }
    void this.#keepRunning().catch((error: Error) => this.#fail(error.message));
  }

  async #choosePort(): Promise<void> {
    const { port: wished, isPortFixed, say } = this.#options;
    if (!(await isPortTaken(wished))) {
      this.#port = wished;
      return;
    }
    if (isPortFixed) {
      throw new Error(
        `Port ${wished} is taken. Stop what listens there, or choose another with FANWIRE_NATS_PORT=… npm start`,
      );
    }
    this.#port = await findFreePort();
    say(`Port ${wished} is taken: our own NATS gets port ${this.#port}.`);
    say(`(To use what listens there instead: FANWIRE_NATS_URL=nats://127.0.0.1:${wished} npm start)`);
  }

  async stop(): Promise<void> {
    this.#stopAsked.abort();
    await this.#child?.stop();
  }

  kill(): void {
    this.#stopAsked.abort();
    this.#child?.kill();
  }

  async #spawn(): Promise<void> {
    const { path, folder, cwd, env, onLine, onChild } = this.#options;
    const port = this.#port;
    const serverName = `fanwire-${randomUUID()}`;
    const args = [
      ...["-c", join(folder, "nats.conf"), "-n", serverName],
      ...["-a", "127.0.0.1", "-p", String(port), "-js", "-sd", join(folder, "nats")],
    ];
    this.#stopAsked.signal.throwIfAborted();
    const child = new Child({ name: "nats-server", command: path, args, cwd, env, onLine });
    this.#child = child;
    await onChild(child);
    const early = child.ended.then((how) => {
      throw new Error(`nats-server did not start: ${how}. Its last words:\n${indent(child.lastLines)}`);
    });
    const greeted = waitForGreeting(port, serverName, deadlineSignal(startTimeoutMs, this.#stopAsked.signal));
    await Promise.race([greeted, early]);
  }

  async #keepRunning(): Promise<void> {
    const { say } = this.#options;
    let restarts: number[] = [];
    for (;;) {
      const how = await this.#child?.ended;
      if (this.#stopAsked.signal.aborted) return;
      const now = Date.now();
      restarts = [...restarts.filter((at) => now - at < restartWindowMs), now];
      if (restarts.length > maxRestarts)
        throw new Error(`nats-server died ${restarts.length} times in a minute: ${how}`);
      say(`nats-server died (${how}); starting it again. The services reconnect by themselves.`);
      await this.#spawn();
      say(`nats-server is back on ${this.url}.`);
    }
  }
}

function indent(lines: readonly string[]): string {
  return lines.map((line) => `    ${line}`).join("\n");
}

function isAddressInUse(child: Child | undefined): boolean {
  return child?.lastLines.some((line) => line.includes("address already in use")) ?? false;
}

/** Waits until the server of that name answers, because the services would silently join any other one. */
async function waitForGreeting(port: number, serverName: string, signal: AbortSignal): Promise<void> {
  while ((await greetingName(port)) !== serverName) {
    if (signal.aborted) throw new Error(`nats-server did not answer on port ${port}.`);
    await delay(50);
  }
}

/** Returns the name of the server on this port. NATS servers send `INFO {"server_name":…}` first. */
function greetingName(port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1", timeout: 1_000 });
    let greeting = "";
    const finish = () => {
      socket.destroy();
      resolve(/^INFO .*"server_name":"([^"]*)"/.exec(greeting)?.[1]);
    };
    socket.on("data", (data) => {
      greeting += data.toString("latin1");
      if (greeting.includes("\n") || greeting.length > 65_536) finish();
    });
    for (const event of ["error", "timeout", "close"]) socket.once(event, finish);
  });
}
