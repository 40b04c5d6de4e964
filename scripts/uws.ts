import { uwsLoadProblem } from "../apps/pusher/src/process/native-module.ts";

/** Ends the process with the reason when uWebSockets.js does not load on this machine. */
export function requireUws(): void {
  const problem = uwsLoadProblem();
  if (problem === undefined) return;
  console.error(`Fanwire cannot run here: ${problem}`);
  process.exit(1);
}
