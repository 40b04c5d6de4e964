import { html } from "hono/html";
import type { ApiDocument } from "./openapi.ts";

export type Html = ReturnType<typeof html>;
export type Referable = NonNullable<NonNullable<ApiDocument["components"]>["schemas"]>[string];
type Schema = Exclude<Referable, { $ref: string }>;

/** The fields of an object schema, nested objects included; nothing for any other schema. */
export function fieldList(schema: Referable): Html | undefined {
  const shape = shapeOf(schema);
  if (shape?.properties === undefined) return undefined;

  const required = new Set(shape.required);
  return html`<dl>${Object.entries(shape.properties).map(
    ([
      name,
      field,
    ]) => html`<dt><code>${name}</code> <i>${typeName(field)}${required.has(name) ? "" : ", optional"}</i></dt>
      <dd>${prose(descriptionOf(field))}${fieldList(field)}</dd>`,
  )}</dl>`;
}

/** The object whose fields are worth listing: the schema itself, or what it is an array of. */
function shapeOf(schema: Referable): Schema | undefined {
  if (isReference(schema)) return undefined;
  return schema.items === undefined ? schema : shapeOf(schema.items);
}

export function typeName(schema: Referable): Html {
  if (isReference(schema)) {
    const name = schema.$ref.replace(/^.*\//, "");
    return html`<a href="#schema-${name}">${name}</a>`;
  }
  const options = schema.anyOf ?? schema.oneOf;
  if (options !== undefined)
    return html`${options.map((option, at) => html`${at > 0 && " or "}${optionName(option)}`)}`;
  if (schema.items !== undefined) return html`array of ${typeName(schema.items)}`;
  return html`${schema.enum === undefined ? schema.type : schema.enum.map((value) => JSON.stringify(value)).join(" | ")}`;
}

/** Of a union's member that has no name, the fields are its name. */
function optionName(option: Referable): Html {
  if (isReference(option) || option.properties === undefined) return typeName(option);
  return html`<code>{ ${Object.entries(option.properties).map(([name, field]) => html`${name}: ${typeName(field)} `)}}</code>`;
}

/** Text in which backticks mark code. */
export function prose(text: string | undefined): Html | undefined {
  if (text === undefined) return undefined;
  return html`${text.split("`").map((part, at) => (at % 2 === 1 ? html`<code>${part}</code>` : part))}`;
}

function descriptionOf(schema: Referable): string | undefined {
  return isReference(schema) ? undefined : schema.description;
}

export function isReference<T extends object>(value: T | { $ref: string }): value is { $ref: string } {
  return "$ref" in value;
}
