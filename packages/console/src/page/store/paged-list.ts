import { computed, signal } from "@preact/signals";
import type { ApiClient, ApiFailure, Query } from "../api/client.ts";
import type { Gaps, Totals } from "../api/types.ts";

/** Rows of a page. The document never holds more rows of one list. */
export const PAGE_SIZES = [50, 100, 200] as const;

type Rows<Row> = Totals & { readonly rows: readonly Row[] };
export type Page<Row> = Gaps & Rows<Row> & { readonly next?: string };
type Reply = Gaps & { readonly next?: string };
/** Returns the rows in an answer, and the number of all rows if the answer has it. */
export type ReadRows<Row> = (reply: never) => Rows<Row>;

/** One page of a list that the publisher searches, sorts and divides into pages. */
export class PagedList<Row> {
  readonly #api: ApiClient;
  readonly #path: string;
  readonly #read: ReadRows<Row>;
  /** `after` of this page and of those before it. */
  readonly #afters = signal<readonly string[]>([]);
  readonly #query = signal<Query>({});
  #newest = 0;
  readonly page = signal<Page<Row> | undefined>(undefined);
  readonly failure = signal<ApiFailure | undefined>(undefined);
  readonly isLoading = signal(false);
  readonly number = computed(() => this.#afters.value.length + 1);

  constructor(api: ApiClient, path: string, read: ReadRows<Row>) {
    this.#api = api;
    this.#path = path;
    this.#read = read;
  }

  /** Begins at the first page if the parameters are others. Returns whether they are. */
  use(query: Query): boolean {
    if (JSON.stringify(query) === JSON.stringify(this.#query.peek())) return false;
    this.#query.value = query;
    this.#afters.value = [];
    return true;
  }

  /** Keeps the present rows while it loads, and when it fails. Never rejects. */
  async load(signal?: AbortSignal): Promise<void> {
    const request = ++this.#newest;
    this.isLoading.value = true;
    const query = { ...this.#query.peek(), after: this.#afters.peek().at(-1) };
    const answer = await this.#api.get<Reply>(this.#path, query, signal);
    // Another page was asked for meanwhile.
    if (request !== this.#newest) return;
    this.isLoading.value = false;
    if (!answer.ok) {
      if (answer.code !== "aborted") this.failure.value = answer;
      return;
    }
    const { next, missing, complete, exact } = answer.value;
    this.failure.value = undefined;
    this.page.value = {
      // The reader belongs to the path.
      ...this.#read(answer.value as never),
      ...(next !== undefined && { next }),
      ...(missing !== undefined && { missing }),
      ...(complete !== undefined && { complete }),
      ...(exact !== undefined && { exact }),
    };
  }

  next(): Promise<void> {
    const next = this.page.peek()?.next;
    if (next !== undefined) this.#afters.value = [...this.#afters.peek(), next];
    return this.load();
  }

  previous(): Promise<void> {
    this.#afters.value = this.#afters.peek().slice(0, -1);
    return this.load();
  }
}
