import { computed, signal } from "@preact/signals";
import { ApiClient, type ApiFailure } from "../api/client.ts";
import type { Scope } from "../api/types.ts";

type State =
  | { readonly state: "checking" }
  | { readonly state: "signed-out"; readonly failure?: ApiFailure }
  | { readonly state: "signed-in"; readonly scope: Scope };

const STORED_KEY = "fanwire.key";

/** The API key and what it allows. The key lives in the tab's session storage, and ends with the tab. */
export class Session {
  readonly #current = signal<State>({ state: "checking" });
  #key: string | undefined;
  readonly api: ApiClient;
  /** Whether the publisher has keys. */
  readonly needsKey: boolean;

  readonly current = computed(() => this.#current.value);
  readonly isSignedIn = computed(() => this.#current.value.state === "signed-in");
  /** Whether the key allows more than reading. */
  readonly mayWrite = computed(() => {
    const current = this.#current.value;
    return current.state === "signed-in" && current.scope !== "read";
  });

  /** `needsKey`: the publisher has keys. Without keys the page asks for none. */
  constructor({ needsKey }: { readonly needsKey: boolean }) {
    this.needsKey = needsKey;
    this.api = new ApiClient({ key: () => this.#key, onUnauthorized: () => this.#onUnauthorized() });
    const stored = needsKey ? readStored() : undefined;
    if (!needsKey) this.#current.value = { state: "signed-in", scope: "open" };
    else if (stored === undefined) this.#current.value = { state: "signed-out" };
    else void this.signIn(stored);
  }

  /** Asks the publisher what the key allows. */
  async signIn(key: string): Promise<void> {
    this.#key = key;
    this.#current.value = { state: "checking" };
    const answer = await this.api.get<{ scope: Scope }>("v1/key");
    if (this.#key !== key) return;
    if (answer.ok) {
      store(key);
      this.#current.value = { state: "signed-in", scope: answer.value.scope };
    } else this.#end(answer);
  }

  signOut(): void {
    this.#end();
  }

  #onUnauthorized(): void {
    // The answer about the key itself reports the failure.
    if (this.#current.value.state !== "signed-in" || this.#current.value.scope === "open") return;
    const message = "The publisher refused the key. It may have been removed.";
    this.#end({ ok: false, status: 401, code: "unauthorized", message });
  }

  #end(failure?: ApiFailure): void {
    // An unreachable publisher proves nothing about the key.
    if (failure === undefined || failure.status === 401) store(undefined);
    this.#key = undefined;
    this.#current.value = failure === undefined ? { state: "signed-out" } : { state: "signed-out", failure };
  }
}

/** Browsers may forbid storage. The key then lives until the page is closed. */
function readStored(): string | undefined {
  try {
    return sessionStorage.getItem(STORED_KEY) ?? undefined;
  } catch {
    return undefined;
  }
}

function store(key: string | undefined): void {
  try {
    if (key === undefined) sessionStorage.removeItem(STORED_KEY);
    else sessionStorage.setItem(STORED_KEY, key);
  } catch {
    // The key is in memory.
  }
}
