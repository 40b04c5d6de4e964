import { setTimeout as delay } from "node:timers/promises";
import type { Random } from "../chaos/random.ts";
import { startPusher, type TestPusher } from "./cluster.ts";
import { callApi } from "./http-api.ts";
import { type Link, startLink } from "./link.ts";
import type { TestNats } from "./nats.ts";
import { connectPresence, type PresenceClient } from "./presence-client.ts";
import { until } from "./wait.ts";

const TOPICS = ["room", "room.1", "private-room"] as const;
const USERS = ["anna", "bob", "carl", "dora", "eva"] as const;
const MAX_CLIENTS = 12;
const STEP_MS = 60;
const LOSS = 0.3;

type Member = { readonly presence: PresenceClient; readonly pusher: TestPusher; readonly joined: Set<string> };
type Fault = { readonly name: string; begin(): Promise<void>; end(): Promise<void> };

export type ModelParts = {
  readonly nats: TestNats;
  readonly env: Readonly<Record<string, string>>;
  readonly random: Random;
  /** Pushers without faults. */
  readonly stable: readonly TestPusher[];
  readonly publisher: { readonly url: string };
};

/** Clients that join, leave and fail at random on pushers that fail at random, and who must be seen at the end. */
export class PresenceModel implements AsyncDisposable {
  readonly #parts: ModelParts;
  readonly #link: Link;
  /** Reaches NATS through the link. */
  #linked: TestPusher;
  #mortal: TestPusher;
  #members: Member[] = [];
  #isStopped = false;
  /** Steps so far, for a failed test. */
  readonly steps: string[] = [];

  private constructor(parts: ModelParts, link: Link, linked: TestPusher, mortal: TestPusher) {
    this.#parts = parts;
    this.#link = link;
    this.#linked = linked;
    this.#mortal = mortal;
  }

  static async start(parts: ModelParts): Promise<PresenceModel> {
    const { nats, env } = parts;
    const link = await startLink(nats.port, { readsNats: true });
    const linked = await startPusher({ nats: link.url, env });
    return new PresenceModel(parts, link, linked, await startPusher({ nats: nats.url, env }));
  }

  /** Takes random steps during one random fault, then ends the fault. */
  async round(steps: number): Promise<void> {
    const fault = this.#parts.random.pick(this.#faults());
    for (let at = 0; at < steps; at++) {
      if (at === Math.floor(steps / 4)) {
        this.steps.push(fault.name);
        await fault.begin();
      }
      await this.#step();
      await delay(this.#parts.random.next() * STEP_MS);
    }
    await fault.end();
    this.steps.push(`end of ${fault.name}`);
  }

  /** Resolves when every client, and the API, sees exactly the users with open connections that have joined. */
  async untilTrue(timeoutMs: number): Promise<void> {
    const wrong = async () => {
      const open = this.#open();
      for (const topic of TOPICS) {
        const joined = open.filter((member) => member.joined.has(topic));
        const expected = [...new Set(joined.map(({ presence }) => presence.user))].sort().join();
        for (const { presence } of joined) {
          const seen = presence.members(topic).join();
          if (seen !== expected) return `${presence.user} sees ${seen} on ${topic}, not ${expected}`;
        }
        const listed = await this.#listed(topic);
        if (listed !== expected) return `the API has ${listed} on ${topic}, not ${expected}`;
      }
      return undefined;
    };
    let last: string | undefined;
    await until(
      () => `${last}\n${this.steps.join("\n")}`,
      async () => {
        last = await wrong();
        return last === undefined;
      },
      timeoutMs,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { presence } of this.#members) presence.close();
    for (const part of [this.#linked, this.#mortal, this.#link]) await part[Symbol.asyncDispose]();
  }

  async #step(): Promise<void> {
    const { random } = this.#parts;
    const open = this.#open();
    const kind = random.next();
    if (open.length === 0 || (kind < 0.2 && open.length < MAX_CLIENTS)) return this.#connect();
    const member = random.pick(open);
    const { presence, joined } = member;
    const topic = random.pick(TOPICS);
    this.steps.push(`${kind < 0.3 ? "close" : kind < 0.75 ? "join" : "leave"} ${presence.user} ${topic}`);
    if (kind < 0.3) presence.close();
    else if (kind < 0.75) {
      joined.add(topic);
      presence.join(topic).catch(() => {}); // the connection may be lost before the reply
    } else {
      joined.delete(topic);
      presence.client.ask({ command: "unsubscribe", topic }).catch(() => {}); // the same
    }
  }

  async #connect(): Promise<void> {
    const { random, stable } = this.#parts;
    const pusher = random.pick([...stable, this.#linked, ...(this.#isStopped ? [] : [this.#mortal])]);
    const user = random.pick(USERS);
    this.steps.push(`connect ${user}`);
    this.#members.push({ presence: await connectPresence(pusher, user), pusher, joined: new Set() });
  }

  /** Members whose connection is open, as far as the client and its pusher know. */
  #open(): Member[] {
    this.#members = this.#members.filter(({ presence: { client } }) => !client.close && client.socket.readyState === 1);
    return this.#members;
  }

  async #listed(topic: string): Promise<string> {
    const path = `/v1/topics/${topic}/members`;
    const { status, body } = await callApi<{ members: { user: string }[] }>(this.#parts.publisher, "GET", path);
    return status === 200 ? body.members.map(({ user }) => user).join() : String(status);
  }

  #faults(): Fault[] {
    const link = this.#link;
    const { nats } = this.#parts;
    const heal = async () => link.heal();
    return [
      ...(["cut", "stall", "slow"] as const).map((mode) => ({
        name: `link ${mode}`,
        begin: async () => link.set(mode),
        end: heal,
      })),
      { name: "loss", begin: () => this.#lose(LOSS), end: () => this.#lose(0) },
      { name: "NATS restart", begin: () => nats.stop("SIGKILL"), end: () => nats.restart() },
      { name: "kill", begin: () => this.#kill(), end: async () => {} },
      { name: "stop", begin: () => this.#signal("SIGSTOP"), end: () => this.#signal("SIGCONT") },
    ];
  }

  async #lose(share: number): Promise<void> {
    const { random } = this.#parts;
    this.#link.drop = (subject) => subject.startsWith("fanwire.presence.") && random.next() < share;
  }

  async #kill(): Promise<void> {
    const { nats, env } = this.#parts;
    const killed = this.#mortal;
    await killed.process.stop("SIGKILL");
    const own = this.#members.filter(({ pusher }) => pusher === killed);
    await until("its connections are closed", () => own.every(({ presence }) => presence.client.close));
    this.#mortal = await startPusher({ nats: nats.url, env });
  }

  async #signal(signal: "SIGSTOP" | "SIGCONT"): Promise<void> {
    this.#isStopped = signal === "SIGSTOP";
    this.#mortal.process.kill(signal);
  }
}
