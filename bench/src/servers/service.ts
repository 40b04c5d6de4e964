import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Child } from "../children.ts";
import type { Lab } from "../lab.ts";
import { freePort } from "./ports.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const START_TIMEOUT_MS = 20_000;

export type Service = Child & { readonly port: number };

/** Starts one of the apps on free ports and waits until it is ready. `env` has its other settings. */
export async function startService(
  lab: Lab,
  app: "pusher" | "publisher",
  env: Readonly<Record<string, string>> = {},
): Promise<Service> {
  const [port, adminPort] = [await freePort(), await freePort()];
  const name = app.toUpperCase();
  const child = lab.children.start(app, process.execPath, [`apps/${app}/dist/main.js`], {
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      PATH: process.env.PATH,
      FANWIRE_NATS_URL: lab.natsUrl,
      [`${name}_HOST`]: "127.0.0.1",
      [`${name}_PORT`]: String(port),
      [`${name}_ADMIN_PORT`]: String(adminPort),
      ...env,
    },
  });
  await Promise.race([waitUntilReady(app, `http://127.0.0.1:${adminPort}/readyz`), child.died]);
  return { ...child, port };
}

async function waitUntilReady(app: string, url: string): Promise<void> {
  for (const deadline = performance.now() + START_TIMEOUT_MS; performance.now() < deadline; await delay(50)) {
    const response = await fetch(url).catch(() => undefined);
    await response?.body?.cancel();
    if (response?.ok) return;
  }
  throw new Error(`the ${app} was not ready within ${START_TIMEOUT_MS / 1000} s`);
}
