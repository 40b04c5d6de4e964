import { createRequire } from "node:module";
import { join } from "node:path";
import { uwsProblem } from "../apps/pusher/src/process/native-module.ts";

/**
 * Ends the process with the reason when uWebSockets.js does not load on this machine.
 *
 * @param root the repository, with its dependencies installed
 */
export function requireUws(root: string): void {
  try {
    createRequire(join(root, "apps", "pusher", "package.json"))("uWebSockets.js");
  } catch (error) {
    const problem = uwsProblem(error);
    if (problem === undefined) throw error;
    console.error(`Fanwire cannot run here: ${problem}`);
    process.exit(1);
  }
}
