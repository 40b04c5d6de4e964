import { prettyJson } from "./format.ts";

/** Shows content, indented if it is JSON. Long content scrolls. */
export function Content({ label, text }: { readonly label: string; readonly text: string }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: the region scrolls, so the keyboard must reach it
    <section class="content" aria-label={label} tabIndex={0}>
      <pre>{prettyJson(text)}</pre>
    </section>
  );
}
