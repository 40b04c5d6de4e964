import { processTree } from "./process-tree.ts";

/** Page size of almost all Linux machines on which Node runs. */
const PAGE_BYTES = 4_096;

/** Returns the resident bytes of `pid` and its descendants. Shared pages count in each. */
export function residentBytes(pid: number): number {
  return processTree(pid).reduce((sum, { residentPages }) => sum + residentPages * PAGE_BYTES, 0);
}
