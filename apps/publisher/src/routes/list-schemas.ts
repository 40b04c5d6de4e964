import { MAX_SEARCH } from "@fanwire/protocol";
import { z } from "@hono/zod-openapi";
import { MAX_RANK } from "../cluster/lists.ts";
import { ApiError } from "../http/errors.ts";
import { connectionReply, gap, topicName, userName } from "./schemas.ts";

/** Maximum number of items of one page. */
const MAX_PAGE = 200;
const DEFAULT_PAGE = 100;

/** Returns the parameter `limit` of a list. */
export function pageLimit(items: string, max: number = MAX_PAGE) {
  const limit = z
    .int("must be a whole number")
    .min(1, "must be at least 1")
    .max(max, `must be at most ${max}`)
    .default(DEFAULT_PAGE);
  return z.preprocess(readDigits, limit).openapi({ description: `Maximum number of ${items} in the response.` });
}

/** Returns the number that a parameter has in decimal digits, or the value itself, which the schema refuses. */
function readDigits(value: unknown): unknown {
  return typeof value === "string" && /^-?[0-9]+$/.test(value) ? Number(value) : value;
}

/** Returns the parameter `search` of a list. */
export function searchText(searched: string) {
  return z
    .string()
    .max(MAX_SEARCH, `must have at most ${MAX_SEARCH} characters`)
    .transform(orAbsent)
    .optional()
    .openapi({
      type: "string",
      description: `Return only those with this text in ${searched}. Upper and lower case differ.`,
    });
}

/** Returns the parameter `after` of a list. */
export function afterText(item: string) {
  return z
    .string()
    .transform(orAbsent)
    .optional()
    .openapi({ type: "string", description: `The \`next\` of the previous page. Default: from the first ${item}.` });
}

/** Forms send empty text for a field that was not filled in. */
function orAbsent(text: string): string | undefined {
  return text === "" ? undefined : text;
}

/** The parameter `order` of lists of names. */
export const order = z
  .enum(["name", "busiest"], "must be name or busiest")
  .default("name")
  .openapi({ description: "`name`: by UTF-16 units. `busiest`: those with most connections first." });

/**
 * Returns the rank after which a page of the order `busiest` begins.
 *
 * @throws ApiError for text that is no `next` of such a page.
 */
export function rankOf(after: string | undefined): number {
  if (after === undefined) return 0;
  if (!/^(0|[1-9][0-9]{0,8})$/.test(after)) return invalidAfter();
  const rank = Number(after);
  return rank < MAX_RANK ? rank : invalidAfter(`must be below ${MAX_RANK} in this order`);
}

/** @throws ApiError always. */
export function invalidAfter(message = "must be the next of the previous page in the same order"): never {
  throw new ApiError("invalid_request", { details: [{ field: "after", message }] });
}

const next = z.string().optional().describe("The `after` of the next page. Absent on the last page.");

/** The number of all items of a list in the cluster, as far as it is known. */
const total = {
  total: z
    .int()
    .optional()
    .describe("Number of all in the cluster that match. Absent if it is not known: several workers may have the same."),
  totalAtLeast: z.int().optional().describe("Without `total`: there are at least this many."),
  totalAtMost: z
    .int()
    .optional()
    .describe("Without `total`: there are at most this many. Absent if a worker did not answer."),
};
const exact = z
  .literal(false)
  .optional()
  .describe("Order `busiest`: others with more connections may be missing. The listed numbers are exact.");

export const connectionsReply = z
  .object({
    connections: z
      .array(connectionReply)
      .describe("At most `limit` connections, or fewer if their descriptions are large."),
    total: z.int().describe("Number of all connections that match, on all workers that answered."),
    next,
    ...gap,
  })
  .openapi("Connections");

export const usersReply = z
  .object({
    users: z
      .array(z.object({ user: userName, connections: z.int().describe("Number of the user's open connections.") }))
      .describe("At most `limit` users, sorted by UTF-16 units, or by connections and then so."),
    ...total,
    next,
    exact,
    ...gap,
  })
  .openapi("Users");

export const topicsReply = z
  .object({
    topics: z
      .array(
        z.object({
          topic: topicName,
          connections: z
            .int()
            .describe("Number of connections that are subscribed to the topic itself, not to a pattern."),
        }),
      )
      .describe("At most `limit` topics, sorted by UTF-16 units, or by connections and then so."),
    ...total,
    next,
    exact,
    ...gap,
  })
  .openapi("Topics");
