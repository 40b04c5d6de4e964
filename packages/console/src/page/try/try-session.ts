import { type Client, type ClientState, connect, type FanwireError, type Publication } from "@fanwire/client";
import { computed, signal } from "@preact/signals";
import { diagnose } from "./diagnosis.ts";
import { probe } from "./probe.ts";
import { SimulatedNetwork } from "./simulated-network.ts";
import { TryMembers } from "./try-members.ts";

const MAX_PUBLICATIONS = 200;
const MAX_LINES = 100;

export type Received = Publication & { readonly number: number; readonly at: Date };
export type Line = { readonly number: number; readonly at: Date; readonly kind: string; readonly text: string };

const RECOVERED = {
  true: "recovered: true, no durable publication is missing",
  false: "recovered: false, durable publications may be missing",
  null: "recovered: null, there was no position to resume from",
};

/** The test client of the first tab. It stays connected while other tabs are shown. */
export class TrySession {
  readonly url = signal("");
  readonly token = signal("");
  readonly state = signal<ClientState | undefined>(undefined);
  readonly position = signal<string | undefined>(undefined);
  readonly recovered = signal<boolean | null | undefined>(undefined);
  readonly topics = signal<readonly string[]>(["news"]);
  readonly publications = signal<readonly Received[]>([]);
  readonly receivedCount = signal(0);
  readonly lines = signal<readonly Line[]>([]);
  /** Sentences about why the address does not answer. */
  readonly problems = signal<readonly string[]>([]);
  readonly isCut = signal(false);
  readonly members = new TryMembers((kind, text) => this.#addLine(kind, text));
  readonly address = computed(() => (this.state.value?.state === "open" ? this.state.value.address : undefined));
  readonly isConnected = computed(() => this.state.value !== undefined && this.state.value.state !== "closed");
  readonly #network = new SimulatedNetwork();
  #client: Client | undefined;
  /** Whether the current client was welcomed once: then the address is right. */
  #wasOpen = false;
  #numbers = 0;

  constructor(url: string) {
    this.url.value = url;
  }

  connect(): void {
    this.#client?.close();
    this.#wasOpen = false;
    this.problems.value = [];
    try {
      const client: Client = connect({
        url: this.url.value,
        topics: this.topics.value,
        token: this.token.value || undefined,
        WebSocket: this.#network.WebSocket,
        onPublication: (publication) => this.#onPublication(publication),
        onState: (state) => {
          if (this.#client === client) this.#onState(state);
        },
        onRefused: (name, error) => this.#onRefused(name, error),
      });
      this.#client = client;
      this.members.use(client);
    } catch (error) {
      this.#addLine("refused", String(error));
      void this.#explain();
    }
  }

  disconnect(): void {
    this.#client?.close();
  }

  toggleCut(): void {
    const isCut = !this.isCut.value;
    this.isCut.value = isCut;
    this.#addLine(isCut ? "cut" : "restored", isCut ? "disconnected until it is restored" : "");
    if (isCut) this.#network.cut();
    else this.#network.restore();
  }

  subscribe(name: string): void {
    if (this.topics.value.includes(name)) return;
    this.topics.value = [...this.topics.value, name];
    this.#client?.subscribe(name).catch((error: FanwireError) => {
      if (error.code !== "closed") this.#onRefused(name, error);
    });
  }

  unsubscribe(name: string): void {
    this.topics.value = this.topics.value.filter((each) => each !== name);
    this.#client
      ?.unsubscribe(name)
      .catch((error: FanwireError) => this.#addLine("refused", `${name}: ${error.message}`));
  }

  clear(): void {
    this.publications.value = [];
    this.receivedCount.value = 0;
  }

  #onPublication(publication: Publication): void {
    const received = { ...publication, number: ++this.#numbers, at: new Date() };
    this.publications.value = [received, ...this.publications.value.slice(0, MAX_PUBLICATIONS - 1)];
    this.receivedCount.value++;
    this.position.value = this.#client?.position ?? this.position.value;
  }

  #onState(state: ClientState): void {
    this.state.value = state;
    if (state.state === "open") {
      this.#wasOpen = true;
      this.problems.value = [];
      this.recovered.value = state.recovered;
      this.position.value = this.#client?.position ?? this.position.value;
    }
    // 1006: without a close frame, so no worker has given a reason.
    const isUnexplained = state.state === "waiting" && state.code === 1006 && !this.#wasOpen && !this.isCut.value;
    if (isUnexplained) void this.#explain();
    if (state.state === "closed" && state.code !== 1000) this.problems.value = [closedSentence(state)];
    this.#addLine(state.state, describe(state));
  }

  async #explain(): Promise<void> {
    const client = this.#client;
    const problems = await diagnose(this.url.value, { href: location.href, probe });
    if (client === this.#client && !this.#wasOpen) this.problems.value = problems;
  }

  #onRefused(name: string, error: FanwireError): void {
    this.topics.value = this.topics.value.filter((each) => each !== name);
    this.#addLine("refused", `${name}: ${error.message}`);
  }

  #addLine(kind: string, text: string): void {
    const line = { number: ++this.#numbers, at: new Date(), kind, text };
    this.lines.value = [line, ...this.lines.value.slice(0, MAX_LINES - 1)];
  }
}

function describe(state: ClientState): string {
  if (state.state === "connecting") return "";
  if (state.state === "open") return `as ${state.address}; ${RECOVERED[`${state.recovered}`]}`;
  const why = `${state.code}${state.reason === "" ? "" : ` ${state.reason}`}`;
  return state.state === "closed" ? why : `${why}; retry in ${(state.retryInMs / 1_000).toFixed(1)} s`;
}

function closedSentence({ code, reason }: { readonly code: number; readonly reason: string }): string {
  const why = reason === "" ? `code ${code}` : `${reason} (code ${code})`;
  return `The connection ended permanently: ${why}. ${code === 4401 || code === 4403 ? "Check the token." : ""}`.trim();
}
