import { FanwireError } from "./error.ts";
import type { Reply } from "./messages.ts";
import { RateLimiter } from "./rate-limiter.ts";
import type { Transport } from "./transport.ts";

export type OkReply = Extract<Reply, { ok: true }>;

type Pending = { settle(outcome: OkReply | FanwireError): void };

/** Commands that wait for their reply. */
class PendingCommands {
  readonly #timeoutMs: number;
  readonly #pending = new Map<number | string, Pending>();
  #lastId = 0;

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  /**
   * Passes the JSON of the command to `send`. Resolves with the reply, rejects with a FanwireError. Calls `onOk` before
   * the messages that follow the reply in its frame are processed.
   */
  execute(
    command: Readonly<Record<string, unknown>>,
    send: (message: string) => void,
    onOk: (reply: OkReply) => void = () => {},
  ): Promise<OkReply> {
    this.#lastId++;
    const id = this.#lastId;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => settle(new FanwireError("timeout", "no reply from the worker in time")),
        this.#timeoutMs,
      );
      const settle = (outcome: OkReply | FanwireError) => {
        clearTimeout(timer);
        this.#pending.delete(id);
        if (outcome instanceof FanwireError) return reject(outcome);
        onOk(outcome);
        resolve(outcome);
      };
      this.#pending.set(id, { settle });
      send(JSON.stringify({ id, ...command }));
    });
  }

  onReply(reply: Reply): void {
    this.#pending.get(reply.id)?.settle(reply.ok ? reply : new FanwireError(reply.error.code, reply.error.message));
  }

  rejectAll(error: FanwireError): void {
    for (const { settle } of [...this.#pending.values()]) settle(error);
  }
}

/** Sends commands on the current connection. */
export class CommandSender {
  readonly #pending: PendingCommands;
  readonly #absence: () => FanwireError;
  #limiter = new RateLimiter();
  #transport: Transport | undefined;

  /** `absence` returns the error of a command that cannot be sent. */
  constructor(timeoutMs: number, absence: () => FanwireError) {
    this.#pending = new PendingCommands(timeoutMs);
    this.#absence = absence;
  }

  /** Whether the connection is open, so that commands can be sent. */
  get isOpen(): boolean {
    return this.#transport !== undefined;
  }

  /** Must be called for each connection, after its welcome. */
  open(transport: Transport): void {
    this.#transport = transport;
    this.#limiter = new RateLimiter();
  }

  /** Must be called when the connection is lost. Pending commands reject with `error`. */
  close(error: FanwireError): void {
    this.#transport = undefined;
    this.#pending.rejectAll(error);
    this.#limiter.stop();
  }

  onReply(reply: Reply): void {
    this.#pending.onReply(reply);
  }

  /** Whether a publication of this size, in characters, may wait. */
  hasRoom(size: number): boolean {
    return this.#limiter.hasRoom(size);
  }

  /** Waits until the rate limit of workers allows a command, then executes it. */
  async rateLimited<Outcome>(execute: () => Promise<Outcome>, size?: number): Promise<Outcome> {
    const limiter = this.#limiter;
    await limiter.wait(size);
    try {
      return await execute();
    } finally {
      limiter.answered();
    }
  }

  execute(command: Readonly<Record<string, unknown>>, onOk?: (reply: OkReply) => void): Promise<OkReply> {
    const transport = this.#transport;
    if (transport === undefined) return Promise.reject(this.#absence());
    return this.#pending.execute(command, (message) => transport.send(message), onOk);
  }
}
