import type { ComponentChildren } from "preact";
import type { Totals } from "../api/types.ts";
import { PAGE_SIZES, type PagedList } from "../store/paged-list.ts";
import { type Column, DataTable } from "./data-table.tsx";
import { Select } from "./fields.tsx";
import { count } from "./format.ts";
import { FailureNotice, GapsNotice, Notice } from "./notice.tsx";
import { Panel } from "./panel.tsx";

type ListPanelProps<Row> = {
  readonly title: string;
  readonly list: PagedList<Row>;
  readonly columns: readonly Column<Row>[];
  readonly keyOf: (row: Row) => string;
  readonly empty: string;
  readonly selected?: string | undefined;
  /** Fields that search and sort. */
  readonly children?: ComponentChildren;
  /** Size of a page, and a function that changes it. */
  readonly limit?: { readonly value: string; onChange(value: string): void };
};

/** One page of a list, with the fields that choose it. */
export function ListPanel<Row>(props: ListPanelProps<Row>) {
  const { title, list, columns, keyOf, empty, selected, children, limit } = props;
  const page = list.page.value;
  return (
    <Panel class="list" title={title} aside={<small>{page === undefined ? "" : totalOf(page)}</small>}>
      {children}
      <FailureNotice failure={list.failure.value} isStale={page !== undefined} />
      <GapsNotice missing={page?.missing} complete={page?.complete} />
      {page?.exact === false && (
        <Notice kind="info">A name that is spread over many workers may be missing. The counts are exact.</Notice>
      )}
      {page === undefined ? (
        <p class="loading">{list.failure.value === undefined ? "Loading …" : ""}</p>
      ) : (
        <DataTable caption={title} columns={columns} rows={page.rows} keyOf={keyOf} empty={empty} selected={selected} />
      )}
      <Pager list={list} size={limit} />
    </Panel>
  );
}

function totalOf({ total, totalAtLeast, totalAtMost }: Totals): string {
  if (total !== undefined) return `${count(total)} in all`;
  if (totalAtLeast === undefined) return "";
  return totalAtMost === undefined
    ? `at least ${count(totalAtLeast)}`
    : `between ${count(totalAtLeast)} and ${count(totalAtMost)}`;
}

const SIZES = PAGE_SIZES.map((size) => [String(size), `${size} rows`] as const);

type PagerProps<Row> = { readonly list: PagedList<Row>; readonly size: ListPanelProps<Row>["limit"] | undefined };

function Pager<Row>({ list, size }: PagerProps<Row>) {
  const hasNext = list.page.value?.next !== undefined;
  const isFirst = list.number.value === 1;
  if (isFirst && !hasNext && size === undefined) return null;
  return (
    <div class="pager">
      <button type="button" class="small" disabled={isFirst} onClick={() => void list.previous()}>
        Previous
      </button>
      <span>Page {count(list.number.value)}</span>
      <button type="button" class="small" disabled={!hasNext} onClick={() => void list.next()}>
        Next
      </button>
      {size !== undefined && <Select label="Page size" value={size.value} options={SIZES} onChange={size.onChange} />}
    </div>
  );
}
