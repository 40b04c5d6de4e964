/** Items that are sorted, or merged, within one step. */
const STEP = 512;

type Compare<Item> = (one: Item, other: Item) => number;

/** Sorts in steps, because the sort of a hundred thousand names in one tick takes a hundred milliseconds. */
export function* sortInSlices<Item>(
  items: readonly Item[],
  compare: Compare<Item>,
): Generator<unknown, readonly Item[]> {
  const runs: Item[][] = [];
  for (let at = 0; at < items.length; at += STEP) {
    runs.push(items.slice(at, at + STEP).sort(compare));
    yield;
  }
  return yield* mergeAllInSlices(runs, compare);
}

/** Merges any number of sorted lists in steps. Items of earlier lists come before equal ones of later lists. */
export function* mergeAllInSlices<Item>(
  lists: readonly (readonly Item[])[],
  compare: Compare<Item>,
): Generator<unknown, readonly Item[]> {
  let runs = lists;
  while (runs.length > 1) {
    const merged: Item[][] = [];
    for (let at = 0; at < runs.length; at += 2) {
      merged.push(yield* mergeInSlices(runs[at] ?? [], runs[at + 1] ?? [], compare));
    }
    runs = merged;
  }
  return runs[0] ?? [];
}

/** Merges two sorted lists in steps. Items of the first list come before equal ones of the second. */
export function* mergeInSlices<Item>(
  first: readonly Item[],
  second: readonly Item[],
  compare: Compare<Item>,
): Generator<unknown, Item[]> {
  const merged: Item[] = [];
  let at = 0;
  for (const item of second) {
    for (let next = first[at]; next !== undefined && compare(next, item) <= 0; next = first[at]) {
      merged.push(next);
      at++;
      if (merged.length % STEP === 0) yield;
    }
    merged.push(item);
    if (merged.length % STEP === 0) yield;
  }
  for (; at < first.length; at += STEP) {
    merged.push(...first.slice(at, at + STEP));
    yield;
  }
  return merged;
}
