/** Maximum bytes of the JSON text of `info`, because every worker keeps it for each member. */
export const MAX_INFO_BYTES = 1_024;

/** Returns whether `info` is small enough. A value that is nested too deeply has no JSON text, and is not. */
export function isSmallInfo(info: unknown): boolean {
  if (info === undefined) return true;
  try {
    return Buffer.byteLength(JSON.stringify(info)) <= MAX_INFO_BYTES;
  } catch {
    return false;
  }
}
