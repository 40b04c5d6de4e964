import type { ComponentChildren } from "preact";
import { UNKNOWN } from "./format.ts";

export type Column<Row> = {
  readonly head: string;
  readonly cell: (row: Row) => ComponentChildren;
  /** `number`: right-aligned figures. `wide`: takes the space that is left. */
  readonly kind?: "number" | "wide" | "mono";
};

type DataTableProps<Row> = {
  readonly caption: string;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  readonly keyOf: (row: Row) => string;
  /** Shown instead of rows. */
  readonly empty: string;
  readonly selected?: string | undefined;
};

/** A table that scrolls in its own region where the screen is narrow. */
export function DataTable<Row>({ caption, columns, rows, keyOf, empty, selected }: DataTableProps<Row>) {
  return (
    // The region scrolls, so the keyboard must reach it.
    // biome-ignore lint/a11y/noNoninteractiveTabindex: see above
    <section class="scroll" aria-label={`Table: ${caption}`} tabIndex={0}>
      <table>
        <caption class="hidden">{caption}</caption>
        <thead>
          <tr>
            {columns.map(({ head, kind }) => (
              <th key={head} scope="col" class={kind}>
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={keyOf(row)} class={keyOf(row) === selected ? "selected" : undefined}>
              {columns.map((column) => (
                <Cell key={column.head} column={column} row={row} />
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length === 0 && <p class="empty">{empty}</p>}
    </section>
  );
}

function Cell<Row>({ column: { kind, cell }, row }: { readonly column: Column<Row>; readonly row: Row }) {
  const content = cell(row);
  return <td class={kind}>{content === UNKNOWN ? <span class="unknown">{UNKNOWN}</span> : content}</td>;
}
