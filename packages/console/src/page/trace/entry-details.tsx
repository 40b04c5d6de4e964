import { curlOf } from "../api/curl.ts";
import { useConsole } from "../store/console.ts";
import { routeHash } from "../store/route.ts";
import { CopyButton } from "../ui/buttons.tsx";
import { Content } from "../ui/content.tsx";
import { bytes } from "../ui/format.ts";
import { Panel } from "../ui/panel.tsx";
import { type Entry, publicationBody } from "./entry.ts";

type EntryDetailsProps = { readonly entry: Entry; onClose(): void };

/** One entry as JSON, with its content apart. */
export function EntryDetails({ entry, onClose }: EntryDetailsProps) {
  return (
    <aside class="details" aria-label="Entry of the trace">
      <p>
        <button type="button" class="small" onClick={onClose}>
          Close the details
        </button>
      </p>
      <Panel title={entry.kind} aside={<CopyButton label="Copy as JSON" text={() => entry.json} />}>
        <Content label="Entry as JSON" text={entry.json} />
        <Links entry={entry} />
      </Panel>
      {entry.kind === "publication" && <PublicationContent entry={entry} />}
    </aside>
  );
}

function PublicationContent({ entry }: { readonly entry: Entry & { readonly kind: "publication" } }) {
  const { session } = useConsole();
  const { data, bytes: size, encoding } = entry.value;
  const body = publicationBody(entry);
  const curl = () => {
    const url = new URL("v1/publications", document.baseURI).href;
    return curlOf({ method: "POST", url, body, needsKey: session.needsKey });
  };
  return (
    <Panel title="Content" aside={<small>{`${bytes(size)}${encoding === undefined ? "" : ", base64"}`}</small>}>
      {data !== undefined && <Content label="Content" text={data} />}
      {body === undefined ? (
        <p class="hint">The trace has only the beginning, so it cannot be copied as a request.</p>
      ) : (
        <p class="acts">
          <CopyButton label="Copy as curl" text={curl} />
        </p>
      )}
    </Panel>
  );
}

function Links({ entry }: { readonly entry: Entry }) {
  const { topic, user, connection } = namesIn(entry);
  return (
    <p class="acts">
      {topic !== undefined && <a href={routeHash("topics", topic)}>Topic</a>}
      {user !== undefined && <a href={routeHash("users", user)}>User</a>}
      {connection !== undefined && <a href={routeHash("connections", connection)}>Connection</a>}
    </p>
  );
}

type Names = {
  readonly topic?: string | undefined;
  readonly user?: string | undefined;
  readonly connection?: string | undefined;
};

function namesIn(entry: Entry): Names {
  if (entry.kind === "publication") return entry.value.target;
  const { connection } = entry.value;
  return entry.kind === "recovery" ? { connection } : { connection, user: entry.value.user };
}
