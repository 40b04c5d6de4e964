/** Protocols that clients expect on well-known paths. */
const OTHER_PROTOCOLS: readonly (readonly [name: string, path: RegExp])[] = [
  ["the Pusher protocol", /^\/app\//],
  ["Socket.IO", /^\/socket\.io(\/|$)/],
  ["Centrifugo's protocol", /^\/connection\//],
  ["Action Cable", /^\/cable(\/|$)/],
];

/**
 * Returns the protocol that other servers serve on this path. Its clients are refused, because they would wait for a greeting that
 * this worker does not send. All other paths are served.
 */
export function otherProtocolAt(path: string): string | undefined {
  return OTHER_PROTOCOLS.find(([, pattern]) => pattern.test(path))?.[0];
}

/** Base64 of 16 bytes. */
const KEY = /^[A-Za-z0-9+/]{22}==$/;

export type UpgradeHeaders = { readonly upgrade: string; readonly version: string; readonly key: string };

/** Checks the requirements of RFC 6455, section 4.2.1, that uWebSockets.js does not check. */
export function upgradeProblem({
  upgrade,
  version,
  key,
}: UpgradeHeaders): "no-upgrade" | "version" | "key" | undefined {
  const names = upgrade.toLowerCase().split(",");
  if (!names.some((name) => name.trim() === "websocket")) return "no-upgrade";
  if (version !== "13") return "version";
  return KEY.test(key) ? undefined : "key";
}
