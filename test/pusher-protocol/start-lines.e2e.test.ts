import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { pusherAppsEnv } from "../support/pusher-apps.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const env = pusherAppsEnv();
const { pusher, publisher } = useCluster({ pusher: env, publisher: env });
const Pusher: unknown = createRequire(import.meta.url)("pusher-js");
const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const hasCurl = spawnSync("curl", ["--version"]).status === 0;

/** Returns the lines of `npm start`, in a process of their own, because the scripts are no package. */
function printedLines(addresses: { readonly pusher: string; readonly publisher: string }): string[] {
  const code = `import { pusherLines } from "./scripts/start/demo-app.ts";
    console.log(JSON.stringify(pusherLines(process.env, ${JSON.stringify(addresses)})));`;
  const flags = ["--import", "tsx", "--input-type=module", "--eval", code];
  const { stdout, stderr } = spawnSync(process.execPath, flags, { cwd: ROOT, env: { ...process.env, ...env } });
  if (stdout.length === 0) throw new Error(stderr.toString());
  return JSON.parse(stdout.toString()) as string[];
}

test.skipIf(!hasCurl)("the lines that npm start prints work as they are printed", async () => {
  const addresses = { pusher: new URL(pusher.url).host, publisher: new URL(publisher.url).host };
  const [, create, subscribe, bind, curl = ""] = printedLines(addresses);
  const received: unknown[] = [];
  const page = { Pusher, console: { log: (data: unknown) => received.push(data) }, states: [] as string[] };
  const script = [create, subscribe, bind, 'orders.bind("pusher:subscription_succeeded", () => states.push("ok"));'];

  const client = runInNewContext(`${script.join("\n")}; pusher`, page) as { disconnect(): void };
  await until("pusher-js is subscribed", () => page.states.length > 0);
  const answer = spawnSync("sh", ["-c", curl], { encoding: "utf8" });
  await until("the event", () => received.length > 0);
  client.disconnect();

  expect(answer.stdout).toBe('{"status":"published"}');
  expect(received).toEqual([{ total: 9 }]);
});
