import { setMaxListeners } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { connect } from "@fanwire/client";
import { WebSocket } from "ws";
import type { TestPusher } from "../support/cluster.ts";
import { readEvents } from "../support/event-stream.ts";
import { connectRawClient } from "../support/raw-client.ts";
import { signToken } from "../support/tokens.ts";
import { until } from "../support/wait.ts";
import { Names } from "./names.ts";

/** Some tokens end while their connection is open. */
const TOKEN_SECONDS = [15, 600];

/** One connection. */
type Connected = { readonly address: string | undefined; close(): void };

/** A constant number of connections of all protocols. Each is replaced after its lifetime. */
export class Population {
  readonly names = new Names();
  /** Addresses of open connections, by user. */
  readonly addresses = new Map<string, string>();
  opened = 0;
  failed = 0;
  received = 0;
  readonly #pusher: TestPusher;
  readonly #secret: string;
  readonly #lifeMs: number;
  readonly #stopping = new AbortController();
  readonly #lives: Promise<void>[];

  constructor(options: {
    readonly pusher: TestPusher;
    readonly secret: string;
    readonly clients: number;
    readonly lifeSeconds: number;
  }) {
    this.#pusher = options.pusher;
    this.#secret = options.secret;
    this.#lifeMs = options.lifeSeconds * 1_000;
    setMaxListeners(options.clients + 10, this.#stopping.signal);
    this.#lives = Array.from({ length: options.clients }, () => this.#liveAgainAndAgain());
  }

  /** Resolves when all connections are closed. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#lives);
  }

  async #liveAgainAndAgain(): Promise<void> {
    // Starts are spread, because connections that began together would end together.
    await this.#pause(this.#lifeMs * Math.random());
    while (!this.#stopping.signal.aborted) {
      const user = this.names.newUser();
      try {
        const connected = await this.#open(user);
        this.opened++;
        if (connected.address !== undefined) this.addresses.set(user, connected.address);
        await this.#pause(Math.min(-Math.log(Math.random()), 5) * this.#lifeMs);
        connected.close();
      } catch {
        this.failed++;
        await this.#pause(1_000);
      } finally {
        this.addresses.delete(user);
      }
    }
  }

  async #open(user: string): Promise<Connected> {
    const protocols = [this.#openFanwire, this.#openFanwire, this.#openRaw, this.#openSse];
    const open = protocols[Math.floor(Math.random() * protocols.length)] ?? this.#openFanwire;
    return open.call(this, user);
  }

  /** Connects the project's own client, which subscribes, unsubscribes and refreshes its token. */
  async #openFanwire(user: string): Promise<Connected> {
    const client = connect({
      url: this.#pusher.url,
      WebSocket,
      topics: [this.names.topic(), this.names.pattern()],
      token: () => this.#token(user),
      onPublication: () => this.received++,
    });
    try {
      await until("the client is open", () => client.state === "open");
      for (let count = 0; count < 3; count++) {
        const topic = this.names.topic();
        await client.subscribe(topic);
        if (Math.random() < 0.5) await client.unsubscribe(topic);
      }
    } catch (error) {
      client.close();
      throw error;
    }
    return client;
  }

  /** Half of the connections end without a close frame. */
  async #openRaw(user: string): Promise<Connected> {
    const { socket, address } = await connectRawClient(await this.#url("", user));
    socket.on("message", () => this.received++);
    return { address, close: () => (Math.random() < 0.5 ? socket.close() : socket.terminate()) };
  }

  async #openSse(user: string): Promise<Connected> {
    const stream = await readEvents((await this.#url("sse", user)).replace("ws:", "http:"));
    const count = () => {
      this.received += stream.events().length - 1;
      stream.close();
    };
    return { address: undefined, close: count };
  }

  async #url(path: string, user: string): Promise<string> {
    const url = new URL(path, this.#pusher.url);
    url.searchParams.append("topic", this.names.topic());
    url.searchParams.append("token", await this.#token(user));
    return url.href;
  }

  #token(user: string): Promise<string> {
    const expiresInSeconds = TOKEN_SECONDS[Math.floor(Math.random() * TOKEN_SECONDS.length)] ?? 0;
    return signToken({ sub: user, topics: [">"] }, { expiresInSeconds, secret: this.#secret });
  }

  /** Waits, but no longer than until the population stops. */
  async #pause(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.#stopping.signal }).catch(() => {});
  }
}
