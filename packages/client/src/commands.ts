import { FanwireError } from "./error.ts";
import type { Reply } from "./messages.ts";
import { RateLimiter } from "./rate-limiter.ts";
import type { Transport } from "./transport.ts";

/** Timers cannot wait longer than 2^31 ms. */
const LONGEST_MS = 2_000_000_000;

export type OkReply = Extract<Reply, { ok: true }>;

/** Sends commands on the current connection. */
export class CommandSender {
  readonly #timeoutMs: number;
  readonly #unsentError: () => FanwireError;
  /** Functions that settle the commands without a reply, by id. */
  readonly #pending = new Map<number | string, (outcome: OkReply | FanwireError) => void>();
  #lastId = 0;
  #limiter = new RateLimiter();
  #transport: Transport | undefined;

  /** `unsentError` returns the error of a command that cannot be sent. */
  constructor(timeoutMs: number, unsentError: () => FanwireError) {
    this.#timeoutMs = Math.min(timeoutMs, LONGEST_MS);
    this.#unsentError = unsentError;
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
    for (const settle of [...this.#pending.values()]) settle(error);
    this.#limiter.stop();
  }

  onReply(reply: Reply): void {
    this.#pending.get(reply.id)?.(reply.ok ? reply : new FanwireError(reply.error.code, reply.error.message));
  }

  /** Whether a publication of this size, in characters, may wait. */
  hasRoom(size: number): boolean {
    return this.#limiter.hasRoom(size);
  }

  /** Like `execute`, but waits until the rate limit of workers allows the command. `size` is that of a publication. */
  async executeLimited(
    command: Readonly<Record<string, unknown>>,
    onOk?: (reply: OkReply) => void,
    size?: number,
  ): Promise<OkReply> {
    const limiter = this.#limiter;
    await limiter.wait(size);
    try {
      return await this.execute(command, onOk);
    } finally {
      limiter.answered();
    }
  }

  /**
   * Resolves with the reply, rejects with a FanwireError. Calls `onOk` before the messages that follow the reply in its
   * frame are processed.
   */
  execute(command: Readonly<Record<string, unknown>>, onOk: (reply: OkReply) => void = () => {}): Promise<OkReply> {
    const transport = this.#transport;
    if (transport === undefined) return Promise.reject(this.#unsentError());
    this.#lastId++;
    const id = this.#lastId;
    return new Promise((resolve, reject) => {
      const onTimeout = () => settle(new FanwireError("timeout", "the worker does not reply"));
      const timer = setTimeout(onTimeout, this.#timeoutMs);
      const settle = (outcome: OkReply | FanwireError) => {
        clearTimeout(timer);
        this.#pending.delete(id);
        if (outcome instanceof FanwireError) return reject(outcome);
        onOk(outcome);
        resolve(outcome);
      };
      this.#pending.set(id, settle);
      transport.send(JSON.stringify({ id, ...command }));
    });
  }
}
