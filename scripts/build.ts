import { spawnSync } from "node:child_process";

/**
 * Builds every package, in a second when nothing changed. On failure prints the compiler's output and ends the process.
 *
 * @param root the folder of turbo.json
 */
export function buildAll(root: string): void {
  const { status, error, stdout, stderr } = spawnSync("npm", ["run", "build"], { cwd: root, encoding: "utf8" });
  if (status === 0) return;
  console.error(error ? `npm could not be started: ${error.message}` : `${stdout}${stderr}`);
  process.exit(1);
}
