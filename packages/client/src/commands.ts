import { FanwireError } from "./error.ts";
import type { Reply } from "./messages.ts";

export type OkReply = Extract<Reply, { ok: true }>;

type Pending = { settle(outcome: OkReply | FanwireError): void };

/** Commands that wait for their reply. */
export class PendingCommands {
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
