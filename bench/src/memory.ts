import { processTree } from "./process-tree.ts";

/** Of the machines Node runs on with Linux, all but a few use this. */
const PAGE_BYTES = 4_096;

/** Resident bytes of `pid` and its descendants, shared pages counted in each. */
export function residentBytes(pid: number): number {
  return processTree(pid).reduce((sum, { residentPages }) => sum + residentPages * PAGE_BYTES, 0);
}
