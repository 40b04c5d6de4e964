import { isHeaderName, isName, isTopic, parseConnectionAddress, type Target } from "@fanwire/protocol";
import type { PublishRequest } from "../cluster/publish-request.ts";
import { JsonText } from "../http/json-source.ts";
import { isEventName, isWellFormed } from "./publication-request.ts";

const COMMON_FIELDS: ReadonlySet<string> = new Set(["target", "data", "event", "id", "durable", "receipt"]);

/**
 * Reads the most common valid requests at a tenth of the schema's cost: one target, and text or JSON. Returns the same
 * as `publicationRequest`, or `undefined` if the schema must decide.
 *
 * @param value parsed JSON.
 */
export function readCommonRequest(value: unknown): PublishRequest | undefined {
  if (!isRecord(value)) return undefined;
  for (const field in value) if (!COMMON_FIELDS.has(field)) return undefined;

  const target = readTarget(value.target);
  const { data, event, id, durable = false, receipt = false } = value;
  const text = data instanceof JsonText ? data.text : data;
  if (target === undefined || typeof text !== "string" || !isWellFormed(text)) return undefined;
  if (!isOptionalHeader(event) || !isOptionalHeader(id)) return undefined;
  if (event !== undefined && !isEventName(event)) return undefined;
  if (typeof durable !== "boolean" || typeof receipt !== "boolean") return undefined;
  if (durable && target.kind === "connection") return undefined;

  const publication = {
    target,
    content: Buffer.from(text),
    ...(event !== undefined && { event }),
    ...(id !== undefined && { id }),
  };
  return { publications: [publication], isDurable: durable, wantsReceipt: receipt };
}

const EVERYONE: Target = { kind: "everyone" };

function readTarget(value: unknown): Target | undefined {
  if (!isRecord(value)) return undefined;
  const [field, ...others] = Object.keys(value);
  if (field === undefined || others.length > 0) return undefined;

  const given = value[field];
  if (field === "everyone") return given === true ? EVERYONE : undefined;
  if (typeof given !== "string") return undefined;
  if (field === "topic") return isTopic(given) ? { kind: "topic", topic: given } : undefined;
  if (field === "user") return isName(given) ? { kind: "user", user: given } : undefined;
  if (field !== "connection") return undefined;
  const connection = parseConnectionAddress(given);
  return connection && { kind: "connection", connection };
}

function isOptionalHeader(value: unknown): value is string | undefined {
  return value === undefined || (typeof value === "string" && isHeaderName(value));
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
