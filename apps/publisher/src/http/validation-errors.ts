import { nearestName } from "@fanwire/service";
import type { z } from "@hono/zod-openapi";
import type { ErrorDetail } from "./errors.ts";

type Issue = z.core.$ZodIssue;
/** Limits the response, which must not return everything that was sent. */
const MAX_NAMED_FIELDS = 10;
const MAX_NAME_LENGTH = 100;
/** A name is not suggested for one that differs in more than this share of its characters. */
const MAX_EDITED_SHARE = 0.4;

type Path = readonly PropertyKey[];

/** The fields of objects by path, such as `target`; the request itself is "". */
export type KnownFields = Readonly<
  Record<
    string,
    {
      readonly names: readonly string[];
      /** Advice about other fields that callers are likely to send. */
      readonly hints?: Readonly<Record<string, string>>;
    }
  >
>;
type DescribeOptions = { readonly index?: number; readonly known?: KnownFields };

/** Translates zod's issues into details of an error response. */
export function describeIssues(issues: readonly Issue[], { index, known = {} }: DescribeOptions = {}): ErrorDetail[] {
  return issues
    .flatMap((issue) => unfoldUnion(issue, [], known))
    .map(({ path, message }) => ({
      ...(index !== undefined && { index }),
      ...(path.length > 0 && { field: path.map(String).join(".") }),
      message,
    }));
}

/** Translates the issues of a query. Its `values` are those of each parameter; most parameters may occur once. */
export function describeQueryIssues(
  issues: readonly Issue[],
  values: Readonly<Record<string, readonly string[]>>,
): ErrorDetail[] {
  const isRepeated = (field: string) => Object.hasOwn(values, field) && (values[field]?.length ?? 0) > 1;
  const repeated = new Set(issues.map(({ path: [field = ""] }) => String(field)).filter(isRepeated));
  const others = issues.filter(({ path: [field = ""] }) => !repeated.has(String(field)));
  return [
    ...[...repeated].map((field) => ({ field, message: "occurs more than once; send it once" })),
    ...describeIssues(others),
  ];
}

/**
 * Returns the issues of the union's only member that knows all keys of the request. If no member or several do, returns
 * the union's own message, which lists all members, and names the keys that no member knows.
 */
function unfoldUnion(issue: Issue, parent: Path, known: KnownFields): { path: Path; message: string }[] {
  const path = [...parent, ...issue.path];
  if (issue.code !== "invalid_union") return [{ path, message: describe(issue, path, known) }];

  const meant = issue.errors.filter((issues) => !issues.some(({ code }) => code === "unrecognized_keys"));
  const [only] = meant;
  if (meant.length === 1 && only !== undefined) return only.flatMap((inner) => unfoldUnion(inner, path, known));
  const unknown = unknownToAll(issue.errors);
  const names = unknown.length === 0 ? "" : `; it ${describeUnknown(unknown, path, known)}`;
  return [{ path, message: issue.message + names }];
}

/** Returns the keys that every member of a union refuses. */
function unknownToAll(errors: readonly (readonly Issue[])[]): string[] {
  const [first = [], ...others] = errors.map((issues) =>
    issues.flatMap((issue) => (issue.code === "unrecognized_keys" ? issue.keys : [])),
  );
  return first.filter((key) => others.every((keys) => keys.includes(key)));
}

function describe(issue: Issue, path: Path, known: KnownFields): string {
  if (issue.code === "unrecognized_keys") return describeUnknown(issue.keys, path, known);
  if (issue.code === "invalid_type" && issue.expected === "object") return "must be an object";
  return issue.message;
}

function describeUnknown(keys: readonly string[], path: Path, known: KnownFields): string {
  const named = keys.slice(0, MAX_NAMED_FIELDS).map((key) => describeKey(key.slice(0, MAX_NAME_LENGTH), path, known));
  const others = keys.length - named.length;
  return `has unknown fields: ${named.join(", ")}${others > 0 ? ` and ${others} more` : ""}`;
}

function describeKey(key: string, path: Path, known: KnownFields): string {
  const fields = known[path.map(String).join(".")];
  const quoted = JSON.stringify(key);
  if (fields === undefined) return quoted;
  const hint = Object.hasOwn(fields.hints ?? {}, key) ? fields.hints?.[key] : undefined;
  if (hint !== undefined) return `${quoted} (${hint})`;
  const nearest = nearestName(key.toLowerCase(), fields.names);
  const isSimilar = nearest !== undefined && nearest.edits <= key.length * MAX_EDITED_SHARE;
  return isSimilar ? `${quoted} (did you mean "${nearest.name}"?)` : quoted;
}
