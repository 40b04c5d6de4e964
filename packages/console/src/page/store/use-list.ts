import { useEffect, useMemo } from "preact/hooks";
import type { Query } from "../api/client.ts";
import { useConsole } from "./console.ts";
import { PagedList, type ReadRows } from "./paged-list.ts";
import { poll } from "./polling.ts";

const intervalMs = () => 5_000;

/** Never in a list that a person wants to read without changes. */
type Options = { readonly isLive?: boolean };

/** Returns a list that loads when its parameters change, and again every few seconds while the page is visible. */
export function useList<Row>(
  path: string,
  read: ReadRows<Row>,
  query: Query,
  { isLive = true }: Options = {},
): PagedList<Row> {
  const { session } = useConsole();
  const list = useMemo(() => new PagedList<Row>(session.api, path, read), [session, path, read]);
  const key = JSON.stringify(query);
  useEffect(() => {
    list.use(JSON.parse(key) as Query);
    if (isLive) return poll((stopping) => list.load(stopping), intervalMs);
    void list.load();
    return undefined;
  }, [list, key, isLive]);
  return list;
}
