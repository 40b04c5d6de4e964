import { setTimeout as delay } from "node:timers/promises";
import type { ChaosCluster } from "./cluster.ts";
import type { ChaosTarget, Ledger } from "./ledger.ts";
import { type ChaosClient, sequenceOf } from "./readers.ts";

const EVERY_MS = 50;
/** Publications of one batch. */
const DURABLE = 6;
const LIVE = 4;
/**
 * Rounds between bursts, and publications of one burst. Half are durable, because a worker writes a burst in other
 * ways.
 */
const BURST_EVERY = 60;
const BURST = 150;
/** Maximum number of addresses of closed connections to which later publications go. */
const FORMER = 100;
const ANSWER_WITHIN_MS = 20_000;
/** Retries use the id of the publication, and end before the deduplication window does. */
const RETRY_FOR_MS = 60_000;
const TOPICS = 8;
const USERS = ["anna", "bob", "carol"];

type Item = { readonly number: number; readonly target: ChaosTarget; readonly isDurable: boolean };
type Answer = { readonly status?: string; readonly position?: string };

/**
 * Publishes about 270 times a second through the HTTP API of both publishers: durable, live, and to single connections.
 */
export class Load {
  /** Refusals, and requests without a response. */
  refused = 0;
  readonly #cluster: ChaosCluster;
  readonly #ledger: Ledger;
  readonly #clients: readonly ChaosClient[];
  readonly #pending = new Set<Promise<unknown>>();
  #timer: NodeJS.Timeout | undefined;
  #round = 0;
  /** The last known connection of each client. */
  readonly #addresses = new Map<string, string>();
  readonly #former: string[] = [];

  constructor(cluster: ChaosCluster, ledger: Ledger, clients: readonly ChaosClient[]) {
    this.#cluster = cluster;
    this.#ledger = ledger;
    this.#clients = clients;
  }

  start(): void {
    this.#timer = setInterval(() => this.#publishSome(), EVERY_MS);
  }

  /** Waits until every request was answered or given up. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#pending);
  }

  /** Publishes to everyone through the given publisher. Returns the sequence of the stored publication. */
  async publishMarker(publisherUrl: string): Promise<number> {
    const item = this.#item({ everyone: true }, true);
    const [answer] = await this.#post(publisherUrl, [item]);
    if (answer?.status !== "stored" || answer.position === undefined) throw new Error("not stored");
    const sequence = sequenceOf(answer.position);
    this.#ledger.acknowledge(item.number, sequence);
    return sequence;
  }

  #publishSome(): void {
    this.#round++;
    const durable = Array.from({ length: DURABLE }, (_, at) => this.#item(this.#durableTarget(at), true));
    const live = Array.from({ length: LIVE }, (_, at) => this.#item(this.#topic(at), false));
    this.#keep(this.#publishUntilStored([...durable, ...live]));
    if (this.#round % BURST_EVERY === 0) this.#keep(this.#publishUntilStored(this.#burst()));
    const addresses = [this.#address(), this.#former[this.#round % FORMER]].filter((each) => each !== undefined);
    const pushes = addresses.map((address) => this.#item({ connection: address }, false));
    if (pushes.length > 0) this.#keep(this.#post(this.#somePublisher(), pushes));
  }

  /**
   * The address of the next client in turn. Only that client may receive a publication to an address that it had
   * before.
   */
  #address(): string | undefined {
    const client = this.#clients[this.#round % this.#clients.length];
    const address = client?.address();
    if (client === undefined || address === undefined) return undefined;
    const former = this.#addresses.get(client.name);
    this.#addresses.set(client.name, address);
    if (former !== undefined && former !== address) this.#former.unshift(former);
    this.#former.splice(FORMER);
    return address;
  }

  #burst(): Item[] {
    const burst = this.#round / BURST_EVERY;
    const target: ChaosTarget = burst % 2 === 0 ? { everyone: true } : { topic: `load.${burst % TOPICS}` };
    return Array.from({ length: BURST }, (_, at) => this.#item(target, at % 2 === 0));
  }

  #keep(promise: Promise<unknown>): void {
    this.#pending.add(promise);
    void promise.finally(() => this.#pending.delete(promise));
  }

  async #publishUntilStored(items: readonly Item[]): Promise<void> {
    const giveUpAt = performance.now() + RETRY_FOR_MS;
    let open = items;
    for (let waitMs = 250; open.length > 0 && performance.now() < giveUpAt; waitMs = Math.min(2 * waitMs, 4_000)) {
      const answers = await this.#post(this.#somePublisher(), open);
      open = open.filter(({ number, isDurable }, at) => {
        const { status, position } = answers[at] ?? {};
        if (status === "stored" && position !== undefined) this.#ledger.acknowledge(number, sequenceOf(position));
        return isDurable && status !== "stored";
      });
      if (open.length > 0) await delay(waitMs);
    }
  }

  /** Returns one result for each item, or none where there was no response. */
  async #post(url: string, items: readonly Item[]): Promise<Answer[]> {
    const body = items.map(({ number, target, isDurable }) => ({
      target,
      data: `${number}`,
      ...(isDurable && { durable: true, id: String(number) }),
    }));
    try {
      const response = await fetch(`${url}/v1/publications`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
      });
      const { results = [] } = (await response.json()) as { results?: Answer[] }; // as /openapi.json has it
      this.#ledger.answered(items.map(({ number }) => number));
      this.refused += items.length - results.filter(({ status }) => status !== undefined).length;
      return results;
    } catch {
      this.refused += items.length;
      return [];
    }
  }

  #item(target: ChaosTarget, isDurable: boolean): Item {
    return { number: this.#ledger.publish(target, isDurable), target, isDurable };
  }

  #durableTarget(at: number): ChaosTarget {
    if (at === 0 && this.#round % 4 === 0) return { everyone: true };
    if (at === 1) return { user: USERS[this.#round % USERS.length] ?? "" };
    return this.#topic(at);
  }

  #topic(at: number): ChaosTarget {
    return { topic: `load.${(this.#round + at) % TOPICS}` };
  }

  #somePublisher(): string {
    const { publishers } = this.#cluster;
    return publishers[Math.floor(Math.random() * publishers.length)]?.service.url ?? "";
  }
}
