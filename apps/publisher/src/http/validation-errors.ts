import type { z } from "@hono/zod-openapi";
import type { ErrorDetail } from "./errors.ts";

type Issue = z.core.$ZodIssue;
/** Limits the response, which must not return everything that was sent. */
const MAX_NAMED_FIELDS = 10;
const MAX_NAME_LENGTH = 100;

type Path = readonly PropertyKey[];

/** Translates zod's issues into details of an error response. */
export function describeIssues(issues: readonly Issue[], index?: number): ErrorDetail[] {
  return issues
    .flatMap((issue) => unfoldUnion(issue, []))
    .map(({ path, message }) => ({
      ...(index !== undefined && { index }),
      ...(path.length > 0 && { field: path.map(String).join(".") }),
      message,
    }));
}

/**
 * Returns the issues of the union's only member that knows all keys of the request. If no member or several do, returns the
 * union's own message, which lists all members.
 */
function unfoldUnion(issue: Issue, parent: Path): { path: Path; message: string }[] {
  const path = [...parent, ...issue.path];
  if (issue.code !== "invalid_union") return [{ path, message: describe(issue) }];

  const meant = issue.errors.filter((issues) => !issues.some(({ code }) => code === "unrecognized_keys"));
  const [only] = meant;
  if (meant.length !== 1 || only === undefined) return [{ path, message: issue.message }];
  return only.flatMap((inner) => unfoldUnion(inner, path));
}

function describe(issue: Issue): string {
  if (issue.code === "unrecognized_keys") {
    const named = issue.keys.slice(0, MAX_NAMED_FIELDS).map((key) => JSON.stringify(key.slice(0, MAX_NAME_LENGTH)));
    const others = issue.keys.length - named.length;
    return `has unknown fields: ${named.join(", ")}${others > 0 ? ` and ${others} more` : ""}`;
  }
  if (issue.code === "invalid_type" && issue.expected === "object") return "must be an object";
  return issue.message;
}
