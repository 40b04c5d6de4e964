import { setImmediate as nextTurn } from "node:timers/promises";
import type { MsgHdrs, NatsConnection, NatsConnectionImpl, ProtocolHandler } from "@nats-io/transport-node";
import { SharedAnswer } from "./coalesced-request.ts";
import { type Command, encodeProtocol, type PlainPublication } from "./protocol-encoder.ts";
import { within } from "./timeout.ts";

/** How long the server may take to confirm before the fate of what was sent is unknown. */
export const CONFIRM_TIMEOUT_MS = 2_000;

type HeldPublication = PlainPublication & { readonly headers: MsgHdrs | undefined };
type Held = HeldPublication | Command;

/**
 * What waits to be given to the NATS client, in its order, so that many are one write and one ping confirms them all.
 * Publications wait for the end of their turn of the event loop. Subscriptions also wait for a confirmation that is due: ten
 * thousand newcomers, each in a turn of its own, would write and ask ten thousand times. Whatever is written meanwhile takes
 * them with it.
 */
export class Outbox {
  readonly protocol: ProtocolHandler;
  readonly #connection: NatsConnection;
  readonly #isConnected: () => boolean;
  readonly #confirmations = new SharedAnswer(() => this.confirmTurn());
  #held: Held[] = [];
  #turn: Promise<boolean> | undefined;

  constructor(connection: NatsConnection, isConnected: () => boolean) {
    // The only thing that connections are made of; its interface does not show what it speaks the protocol with.
    this.protocol = (connection as NatsConnectionImpl).protocol;
    this.#connection = connection;
    this.#isConnected = isConnected;
  }

  /** To be followed by {@link confirmTurn}, which writes it. */
  publish(publication: HeldPublication): void {
    this.#held.push(publication);
  }

  command(command: Command): void {
    this.#held.push(command);
    void this.confirm();
  }

  /** Hands over what is held, so that what follows cannot overtake it. */
  write(): void {
    if (this.#held.length === 0) return;
    const all = this.#held;
    this.#held = [];
    let plain: Held[] = [];
    for (const held of all) {
      if (typeof held === "string" || held.headers === undefined) {
        plain.push(held);
        continue;
      }
      this.#send(plain);
      plain = [];
      this.#connection.publish(held.subject, held.content, { headers: held.headers });
    }
    this.#send(plain);
  }

  /** True once the server has all that was held when it was asked, or handed over before. One ping is under way at a time. */
  confirm(): Promise<boolean> {
    return this.#confirmations.get();
  }

  /** The same of all up to the end of this turn, without a wait for another answer. */
  confirmTurn(): Promise<boolean> {
    this.#turn ??= this.#confirmAfterThisTurn();
    return this.#turn;
  }

  /** Asks with a ping: the server answers it after all that came before. */
  async #confirmAfterThisTurn(): Promise<boolean> {
    await nextTurn();
    this.#turn = undefined;
    if (!this.#isConnected()) {
      // The client may have subscribed anew already to what it knew then.
      this.#held = this.#held.filter((held) => typeof held === "string");
      this.write();
      return false;
    }
    const isConfirmed = await this.#ping();
    // Errors reach us through an iterator: one more turn, and those that came before the pong have been seen.
    await nextTurn();
    return isConfirmed;
  }

  #send(plain: readonly Held[]): void {
    if (plain.length === 0) return;
    for (const held of plain) if (typeof held !== "string") this.#count(held);
    this.protocol.sendCommand(encodeProtocol(plain));
  }

  /** As the client counts what it publishes. */
  #count({ content }: PlainPublication): void {
    this.protocol.outMsgs++;
    this.protocol.outBytes += content.length;
  }

  async #ping(): Promise<boolean> {
    try {
      this.write();
      return (
        (await within(
          CONFIRM_TIMEOUT_MS,
          this.#connection.flush().then(() => true),
        )) ?? false
      );
    } catch {
      return false;
    }
  }
}
