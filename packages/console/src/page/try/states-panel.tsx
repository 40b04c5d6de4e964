import { timeOfDay } from "../ui/format.ts";
import { Panel } from "../ui/panel.tsx";
import type { TrySession } from "./try-session.ts";

export function StatesPanel({ client }: { readonly client: TrySession }) {
  return (
    <Panel title="Connection states">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: the region scrolls, so the keyboard must reach it */}
      <section class="scroll states" aria-label="List of connection states" tabIndex={0}>
        <ol>
          {client.lines.value.map(({ number, at, kind, text }) => (
            <li key={number} data-kind={kind}>
              <time>{timeOfDay(at)}</time>
              <b>{kind}</b>
              <span>{text}</span>
            </li>
          ))}
        </ol>
      </section>
    </Panel>
  );
}
