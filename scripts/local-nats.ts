import { mkdir } from "node:fs/promises";
import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { Child } from "./child.ts";
import { findFreePort, isPortTaken } from "./ports.ts";

const startTimeoutMs = 30_000;
/** A server that dies again and again is not helped by starting it once more. */
const maxRestarts = 5;
const restartWindowMs = 60_000;

export type LocalNatsOptions = {
  readonly path: string;
  /** Where JetStream keeps its streams. */
  readonly storeFolder: string;
  readonly port: number;
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  say(line: string): void;
  onLine(line: string): void;
  onChild(child: Child): Promise<void>;
};

/** The port that is wished for, or another when something else has it. */
export async function chooseNatsPort(wished: number, say: (line: string) => void): Promise<number> {
  if (!(await isPortTaken(wished))) return wished;
  const port = await findFreePort();
  say(`Port ${wished} is taken: our own NATS gets port ${port}.`);
  say(`(To use what listens there instead: FANWIRE_NATS_URL=nats://127.0.0.1:${wished} npm start)`);
  return port;
}

/** A nats-server with JetStream on loopback, started again when it dies. */
export class LocalNats {
  readonly url: string;
  /** Why there will be no NATS any more; stays open as long as there is one. */
  readonly failed: Promise<string>;
  readonly #options: LocalNatsOptions;
  readonly #stopAsked = new AbortController();
  #child: Child | undefined;
  #fail: (reason: string) => void = () => undefined;

  constructor(options: LocalNatsOptions) {
    this.#options = options;
    this.url = `nats://127.0.0.1:${options.port}`;
    this.failed = new Promise((resolve) => {
      this.#fail = resolve;
    });
  }

  /** @throws Error with its last words when it does not come up. */
  async start(): Promise<void> {
    await mkdir(this.#options.storeFolder, { recursive: true });
    await this.#spawn();
    void this.#keepRunning().catch((error: Error) => this.#fail(error.message));
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
    const { path, port, storeFolder, cwd, env, onLine, onChild } = this.#options;
    const args = ["-a", "127.0.0.1", "-p", String(port), "-js", "-sd", storeFolder];
    this.#stopAsked.signal.throwIfAborted();
    const child = new Child({ name: "nats-server", command: path, args, cwd, env, onLine });
    this.#child = child;
    await onChild(child);
    const deadline = AbortSignal.timeout(startTimeoutMs);
    const early = child.ended.then((how) => {
      throw new Error(`nats-server did not start: ${how}. Its last words:\n${indent(child.lastLines)}`);
    });
    await Promise.race([waitForGreeting(port, AbortSignal.any([deadline, this.#stopAsked.signal])), early]);
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

/** Every NATS server speaks first, one line that begins with INFO. */
async function waitForGreeting(port: number, signal: AbortSignal): Promise<void> {
  while (!(await hearsInfo(port))) {
    if (signal.aborted) throw new Error(`nats-server did not answer on port ${port}.`);
    await delay(50);
  }
}

function hearsInfo(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1", timeout: 1_000 });
    const answer = (heard: boolean) => {
      socket.destroy();
      resolve(heard);
    };
    socket.once("data", (data) => answer(data.toString("latin1").startsWith("INFO ")));
    socket.once("error", () => answer(false));
    socket.once("timeout", () => answer(false));
    socket.once("close", () => answer(false));
  });
}
