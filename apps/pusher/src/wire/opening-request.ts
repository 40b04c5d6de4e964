/** Protocols that a client may expect on their well-known paths. */
const OTHER_PROTOCOLS: readonly (readonly [name: string, path: RegExp])[] = [
  ["the Pusher protocol", /^\/app\//],
  ["Socket.IO", /^\/socket\.io(\/|$)/],
  ["Centrifugo's protocol", /^\/connection\//],
  ["Action Cable", /^\/cable(\/|$)/],
];

/**
 * The protocol that is spoken on this path elsewhere, and not here. A client of it would wait in vain for its own kind of
 * greeting; every other path is open to the raw protocol.
 */
export function otherProtocolAt(path: string): string | undefined {
  return OTHER_PROTOCOLS.find(([, pattern]) => pattern.test(path))?.[0];
}

/** Base64 of sixteen bytes. */
const KEY = /^[A-Za-z0-9+/]{22}==$/;

export type UpgradeHeaders = { readonly upgrade: string; readonly version: string; readonly key: string };

/** What RFC 6455 section 4.2.1 demands of a handshake and uWebSockets.js does not check. */
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
