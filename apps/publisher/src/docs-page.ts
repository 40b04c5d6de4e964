import { html, raw } from "hono/html";
import { curlExamples } from "./docs-curl.ts";
import { fieldList, type Html, isReference, prose, type Referable, typeName } from "./docs-schema.ts";
import { docsStyle } from "./docs-style.ts";
import { type ErrorCode, errorEntry, errors } from "./errors.ts";
import type { ApiDocument } from "./openapi.ts";

type PathItem = NonNullable<ApiDocument["paths"]>[string];
export type Operation = NonNullable<PathItem["get"]>;
/** One entry of the page: what a path does, for one method or for several that do the same. */
export type Entry = { readonly methods: string[]; readonly path: string; readonly operation: Operation };

const METHODS = ["get", "head", "post", "put", "delete"] as const;

type DocsPageOptions = { readonly origin: string; readonly hasTryPage: boolean };

/** A readable page made of the API's description. Everything but our own markup is escaped by `html`. */
export function docsPage(document: ApiDocument, { origin, hasTryPage }: DocsPageOptions): Html {
  const { title, version, description } = document.info;
  const entries = entriesOf(document);
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>${raw(docsStyle)}</style>
</head>
<body>
<h1>${title} <small>${version}</small></h1>
<p>${prose(description)}</p>
${hasTryPage && html`<p>To connect, follow and publish in the browser: <a href="try">/try</a>.</p>`}
<nav>${entries.map(navigationLink)}</nav>
${entries.map((entry) => entrySection(entry, document, origin))}
<h2>Schemas</h2>
${Object.entries(document.components?.schemas ?? {}).map(
  ([name, schema]) => html`<section id="schema-${name}"><h2>${name}</h2>${fieldList(schema)}</section>`,
)}
<h2 id="errors">Errors</h2>
<dl>${Object.keys(errors).map((code) => errorRow(code as ErrorCode))}</dl>
<footer>The same for programs: <a href="/openapi.json">/openapi.json</a> (OpenAPI ${document.openapi}).</footer>
</body>
</html>`;
}

function entriesOf(document: ApiDocument): Entry[] {
  return Object.entries(document.paths ?? {}).flatMap(([path, item]) => {
    const entries = new Map<string | undefined, Entry>();
    for (const method of METHODS) {
      const operation = item[method];
      if (operation === undefined) continue;
      const known = entries.get(operation.summary);
      if (known === undefined) entries.set(operation.summary, { methods: [method], path, operation });
      else known.methods.push(method);
    }
    return [...entries.values()];
  });
}

function methodBadges(methods: readonly string[]): Html {
  return html`<span class="methods">${methods.map((method) => html`<b class="${method}">${method.toUpperCase()}</b> `)}</span>`;
}

function navigationLink({ methods, path, operation }: Entry): Html {
  return html`<a href="#${operation.operationId}">${methodBadges(methods)}<code>${path}</code><span>${operation.summary}</span></a>`;
}

function entrySection(entry: Entry, document: ApiDocument, origin: string): Html {
  const { methods, path, operation } = entry;
  return html`<section id="${operation.operationId}">
<h2>${methodBadges(methods)}<code>${path}</code></h2>
<p><strong>${operation.summary}.</strong> ${prose(operation.description)}</p>
${parameterList(operation)}
${bodySection(operation)}
<h3>Try it</h3>
${curlExamples(entry, document, origin).map(
  ({ summary, command }) => html`${summary && html`<p>${summary}:</p>`}<pre><code>${command}</code></pre>`,
)}
<h3>Answers</h3>
<dl>${Object.entries(operation.responses ?? {}).map(([status, response]) => responseRow(status, response))}</dl>
</section>`;
}

function parameterList({ parameters = [] }: Operation): Html | undefined {
  if (parameters.length === 0) return undefined;
  return html`<h3>Parameters</h3><dl>${parameters.map((parameter) =>
    isReference(parameter)
      ? undefined
      : html`<dt><code>${parameter.name}</code> <i>in the ${parameter.in}${parameter.required ? "" : ", optional"}</i></dt>
        <dd>${prose(parameter.description)}</dd>`,
  )}</dl>`;
}

function bodySection({ requestBody }: Operation): Html | undefined {
  if (requestBody === undefined || isReference(requestBody)) return undefined;
  return html`<h3>Body</h3>${Object.entries(requestBody.content).map(
    ([type, { schema }]) => html`<p><code>${type}</code>: ${schema && typeName(schema)}</p>`,
  )}`;
}

type Response = NonNullable<Operation["responses"]>[string];
type Content = { readonly schema?: Referable; readonly examples?: object };

function responseRow(status: string, response: Response): Html | undefined {
  if (isReference(response)) return undefined;
  const [content] = Object.values<Content>(response.content ?? {});
  if (Number(status) < 400) {
    return html`<dt><strong>${status}</strong> <i>${content?.schema && typeName(content.schema)}</i></dt>
      <dd>${prose(response.description)}</dd>`;
  }
  const codes = Object.keys(content?.examples ?? {});
  return html`<dt><strong>${status}</strong>${codes.map((code) => html` <a href="#error-${code}"><code>${code}</code></a>`)}</dt>`;
}

function errorRow(code: ErrorCode): Html {
  const { status, message } = errorEntry(code);
  return html`<dt id="error-${code}"><strong>${status}</strong> <code>${code}</code></dt><dd>${prose(message)}</dd>`;
}
