import { html } from "hono/html";
import type { ApiDocument } from "../http/api.ts";

type Html = ReturnType<typeof html>;
type Operation = {
  readonly method: string;
  readonly path: string;
  readonly id: string;
  readonly summary: string;
};

/**
 * Returns the list of all operations, in the form in which Swagger UI shows them closed. It is readable at once, while
 * Swagger UI takes seconds on a phone and is loaded only when a reader begins to use the page.
 */
export function docsOverview({ info, tags = [], paths = {} }: ApiDocument): Html {
  const sections = tags.map(({ name, description = "" }) => sectionOf(name, description, operationsOf(paths, name)));
  return html`<main class="swagger-ui" id="overview">
<div class="information-container wrapper"><section class="block col-12"><div class="info">
<div class="main"><h1 class="title">${info.title} <small>${info.version}</small></h1>
<a class="link" href="openapi.json"><span class="url">openapi.json</span></a></div>
<div class="description"><div class="renderedMarkdown"><p>${withCode(info.description ?? "")}</p></div></div>
</div></section></div>
<div class="scheme-container"><section class="schemes wrapper block col-12">
<p>Open an operation for its parameters, its answers, and a form that sends it.</p>
</section></div>
<div class="wrapper"><section class="block col-12 block-desktop col-12-desktop">${sections}</section></div>
</main>`;
}

function sectionOf(tag: string, description: string, operations: readonly Operation[]): Html | string {
  if (operations.length === 0) return "";
  return html`<div class="opblock-tag-section is-open">
<h2 class="opblock-tag"><span>${tag}</span><small>${description}</small></h2>
${operations.map((operation) => operationLink(tag, operation))}
</div>`;
}

function operationLink(tag: string, { method, path, id, summary }: Operation): Html {
  return html`<div class="opblock opblock-${method}"><div class="opblock-summary opblock-summary-${method}">
<a class="opblock-summary-control" href="#/${tag}/${id}">
<span class="opblock-summary-method">${method.toUpperCase()}</span>
<span class="opblock-summary-path-description-wrapper">
<span class="opblock-summary-path" data-path="${path}">${path}</span>
<span class="opblock-summary-description">${summary}</span>
</span></a></div></div>`;
}

function operationsOf(paths: NonNullable<ApiDocument["paths"]>, tag: string): Operation[] {
  return Object.entries(paths).flatMap(([path, item]) =>
    // The document has operations only, and no other fields of a path.
    Object.entries(item as Record<string, { tags?: string[]; operationId?: string; summary?: string }>)
      .filter(([, { tags }]) => tags?.includes(tag))
      .map(([method, { operationId = "", summary = "" }]) => ({ method, path, id: operationId, summary })),
  );
}

/** Returns text with code between backticks. */
function withCode(text: string): (string | Html)[] {
  return text.split("`").map((part, at) => (at % 2 === 0 ? part : html`<code>${part}</code>`));
}
