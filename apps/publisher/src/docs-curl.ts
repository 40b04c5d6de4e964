import type { Entry, Operation } from "./docs-page.ts";
import { isReference } from "./docs-schema.ts";
import type { ApiDocument } from "./openapi.ts";

type Example = { readonly summary?: string | undefined; readonly value?: unknown };
export type CurlExample = { readonly summary?: string; readonly command: string };

/** Lines to paste into a shell: one for each example of the body, or one without a body. */
export function curlExamples(entry: Entry, document: ApiDocument, origin: string): CurlExample[] {
  const url = quoted(origin + exampleTarget(entry));
  const bodies = bodyExamples(entry.operation);
  if (bodies.length === 0) {
    return [{ command: ["curl", ...methodOptions(entry.methods[0]), ...keyOptions(document), url].join(" ") }];
  }
  return bodies.map(({ summary, value }) => {
    const body = ["-H", quoted("Content-Type: application/json"), "-d", quoted(JSON.stringify(value))];
    return {
      ...(summary !== undefined && { summary }),
      command: ["curl", ...keyOptions(document), ...body, url].join(" "),
    };
  });
}

function methodOptions(method: string | undefined): string[] {
  if (method === undefined || method === "get") return [];
  return method === "head" ? ["-I"] : ["-X", method.toUpperCase()];
}

function keyOptions({ security }: ApiDocument): string[] {
  return security === undefined ? [] : ["-H", '"Authorization: Bearer $KEY"'];
}

function exampleTarget({ path, operation }: Entry): string {
  let target = path;
  const query: string[] = [];
  for (const parameter of operation.parameters ?? []) {
    if (isReference(parameter) || parameter.schema === undefined || isReference(parameter.schema)) continue;
    const example = parameter.schema.example;
    if (example === undefined) continue;
    const text = encodeURIComponent(String(example));
    if (parameter.in === "path") target = target.replace(`{${parameter.name}}`, text);
    else query.push(`${parameter.name}=${text}`);
  }
  return query.length === 0 ? target : `${target}?${query.join("&")}`;
}

function bodyExamples({ requestBody }: Operation): Example[] {
  if (requestBody === undefined || isReference(requestBody)) return [];
  return Object.values(requestBody.content).flatMap(({ examples = {} }) =>
    Object.values(examples).flatMap((example) => (isReference(example) ? [] : [example])),
  );
}

/** For a POSIX shell: nothing inside single quotes means anything but a single quote. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
