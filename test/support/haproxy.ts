import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Balancer } from "./balancer.ts";
import { freePorts } from "./free-ports.ts";
import { statusOf } from "./http-api.ts";
import { startProcess } from "./process.ts";
import { until } from "./wait.ts";

const PATH = "/usr/sbin/haproxy";

/** Reason why tests with HAProxy are skipped, or `undefined`. */
export const missingHaproxy = existsSync(PATH)
  ? undefined
  : `there is no ${PATH}: apt-get install --no-install-recommends haproxy`;

/** Starts HAProxy in HTTP mode in front of pushers. It skips those that refuse connections. */
export async function startHaproxy(targets: readonly number[]): Promise<Balancer> {
  const [port = 0] = await freePorts(1);
  const folder = await mkdtemp(join(tmpdir(), "fanwire-haproxy-"));
  const servers = targets.map((target, at) => `  server p${at} 127.0.0.1:${target} check inter 200`);
  const config = `
defaults
  mode http
  timeout connect 2s
  timeout client 60s
  timeout server 60s
  timeout tunnel 1h
  option redispatch
  retries 3
listen pushers
  bind 127.0.0.1:${port}
${servers.join("\n")}
`;
  const file = join(folder, "haproxy.cfg");
  await writeFile(file, config);
  const haproxy = startProcess(PATH, ["-db", "-f", file]);
  await until("HAProxy answers", async () => (await statusOf(`http://127.0.0.1:${port}/`)) === 426);
  return {
    port,
    [Symbol.asyncDispose]: async () => {
      await haproxy.stop("SIGKILL");
      await rm(folder, { recursive: true, force: true });
    },
  };
}
