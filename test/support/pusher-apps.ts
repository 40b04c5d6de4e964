import { createRequire } from "node:module";
import type { Options, default as PusherClient } from "pusher-js";

/** The real browser library in its build for Node. */
const Pusher = createRequire(import.meta.url)("pusher-js") as unknown as typeof PusherClient.default;

/** An app for tests. The id has digits only, because some SDKs accept nothing else. */
export const demoApp = { id: "1001", key: "demo-key-0001", secret: "demo-secret-0001" };

/** Returns the environment of services that serve `apps`. */
export function pusherAppsEnv(...apps: readonly object[]): { readonly FANWIRE_PUSHER_APPS: string } {
  return { FANWIRE_PUSHER_APPS: JSON.stringify(apps.length === 0 ? [demoApp] : apps) };
}

/** Opens a pusher-js client that connects to a pusher on this machine. */
export function openPusherJs(port: number, options: Partial<Options> = {}, key: string = demoApp.key) {
  return new Pusher(key, {
    cluster: "local",
    wsHost: "127.0.0.1",
    wsPort: port,
    forceTLS: false,
    enabledTransports: ["ws"],
    ...options,
  });
}
