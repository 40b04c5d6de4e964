import { MAX_BUSIEST } from "@fanwire/protocol";
import { FirstInOrder } from "./first-in-order.ts";
import type { Named, Occupied } from "./name-index.ts";

/** Maximum number of names in one page, because a page is encoded within one tick. */
const MAX_LIMIT = 2_500;
const CHECK_EVERY = 256;

/** A name with the number of its connections on this worker. */
export type Counted = [name: string, connections: number];
export type NamePage = { readonly items: Counted[]; readonly hasMore: boolean; readonly total: number };

type Names = readonly Named<Occupied>[];
type Filter = { readonly prefix?: string | undefined; readonly search?: string | undefined };
type PageRequest = Filter & { readonly after?: string | undefined; readonly limit: number };

/**
 * Returns a page of names in their order. Without a search, looks at those of the page only.
 *
 * @param maxBytes of the page as JSON.
 */
export function* pageInOrder(names: Names, request: PageRequest, maxBytes: number): Generator<unknown, NamePage> {
  const { prefix = "", search, after, limit } = request;
  const [first, end] = rangeOf(names, prefix);
  const from =
    after === undefined
      ? first
      : Math.max(
          first,
          firstIndex(names, (name) => name > after),
        );
  const wanted = Math.min(limit, MAX_LIMIT) + 1;
  const found: Counted[] = [];
  let total = search === undefined ? end - first : 0;
  for (let at = search === undefined ? from : first; at < end; at++) {
    if (search === undefined && found.length === wanted) break;
    if (at % CHECK_EVERY === 0) yield;
    const named = names[at];
    if (named === undefined || named.item.subscribers === 0) continue;
    if (search !== undefined && !named.name.includes(search)) continue;
    if (search !== undefined) total++;
    if (at >= from && found.length < wanted) found.push([named.name, named.item.subscribers]);
  }
  const items = within(maxBytes, found.slice(0, wanted - 1));
  total = Math.max(total, found.length);
  return { items, hasMore: items.length < found.length, total };
}

/** Returns the names with most connections, those with equal numbers in the order of names. */
export function* busiestNames(
  names: Names,
  { prefix = "", search, limit }: Filter & { readonly limit: number },
  maxBytes: number,
): Generator<unknown, NamePage> {
  const [first, end] = rangeOf(names, prefix);
  const found = new FirstInOrder<Counted>(Math.min(limit, MAX_BUSIEST) + 1, byConnections);
  let total = 0;
  for (let at = first; at < end; at++) {
    if (at % CHECK_EVERY === 0) yield;
    const named = names[at];
    if (named === undefined || named.item.subscribers === 0) continue;
    if (search !== undefined && !named.name.includes(search)) continue;
    total++;
    found.add([named.name, named.item.subscribers]);
  }
  yield;
  const busiest = found.take();
  yield;
  const items = within(maxBytes, busiest.slice(0, limit));
  return { items, hasMore: items.length < busiest.length, total };
}

function byConnections([one, count]: Counted, [other, otherCount]: Counted): number {
  return otherCount - count || (one < other ? -1 : 1);
}

function within(maxBytes: number, found: readonly Counted[]): Counted[] {
  let room = maxBytes;
  const items: Counted[] = [];
  for (const item of found) {
    room -= Buffer.byteLength(JSON.stringify(item)) + 1;
    // A page has at least one name, because the caller could not get past it otherwise.
    if (room < 0 && items.length > 0) break;
    items.push(item);
  }
  return items;
}

/** Returns the first index of the names with a prefix, and the index behind the last one. */
function rangeOf(names: Names, prefix: string): [first: number, end: number] {
  const first = firstIndex(names, (name) => name >= prefix);
  return [first, firstIndex(names, (name) => name > prefix && !name.startsWith(prefix))];
}

/** Returns the first index at which `isPast` is true, as it is for all later names. */
function firstIndex(names: Names, isPast: (name: string) => boolean): number {
  let from = 0;
  let to = names.length;
  while (from < to) {
    const middle = (from + to) >> 1;
    if (isPast(names[middle]?.name ?? "")) to = middle;
    else from = middle + 1;
  }
  return from;
}
