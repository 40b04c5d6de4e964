import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { runRelease } from "./run-release.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

process.exitCode = runRelease({
  root,
  args: process.argv.slice(2),
  now: new Date(),
  say: (line) => console.log(line),
  execute: ([program, ...args]) => {
    const { status, error } = spawnSync(program, args, { cwd: root, stdio: "inherit" });
    if (status === 0) return;
    console.error(`${program} ${error === undefined ? `ended with ${status}` : `cannot be started: ${error.message}`}`);
    console.error(
      "Release ended. The commands above are done: undo the commit and the tag, if there are any, and try again.",
    );
    process.exit(1);
  },
});
