import { FanwireError } from "./error.ts";

/**
 * Checks values by name, because plain JavaScript may pass others than the declared types allow.
 *
 * @throws FanwireError `invalid` for a value of another type.
 */
export function checkTypes(
  type: "string" | "number" | "function" | "object" | "array",
  values: Readonly<Record<string, unknown>>,
): void {
  for (const name in values) {
    const actual = Array.isArray(values[name]) ? "array" : typeof values[name];
    if (actual !== type) throw new FanwireError("invalid", `${name} must be of type ${type}`);
  }
}
