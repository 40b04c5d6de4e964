const PUSHER_PROTOCOL = "the Pusher protocol";
/** Protocols that clients expect on well-known paths. */
const OTHER_PROTOCOLS: readonly (readonly [name: string, path: RegExp])[] = [
  [PUSHER_PROTOCOL, /^\/app\//],
  ["Socket.IO", /^\/socket\.io(\/|$)/],
  ["Centrifugo's protocol", /^\/connection\/(websocket|webtransport|sse|http_stream|uni_\w+)\/?$/],
  ["Action Cable", /^\/cable(\/|$)/],
];

/**
 * Returns why a path is refused, or `undefined` for one that is served. Other servers serve other protocols on these
 * paths. Their clients would wait for a greeting that this worker does not send. With apps, a path of the Pusher protocol
 * comes here only if it is not `/app/<key>`.
 */
export function pathProblem(path: string, hasPusherApps: boolean): string | undefined {
  const name = OTHER_PROTOCOLS.find(([, pattern]) => pattern.test(path))?.[0];
  if (name === undefined) return undefined;
  return name === PUSHER_PROTOCOL && hasPusherApps ? "connect to /app/<key>" : `${name} is not served here`;
}

/** Base64 of 16 bytes. */
const KEY = /^[A-Za-z0-9+/]{22}==$/;

export type UpgradeHeaders = {
  readonly upgrade: string;
  readonly connection: string;
  readonly version: string;
  readonly key: string;
};

/** Checks the requirements of RFC 6455, section 4.2.1, that uWebSockets.js does not check. */
export function upgradeProblem({
  upgrade,
  connection,
  version,
  key,
}: UpgradeHeaders): "no-upgrade" | "version" | "key" | undefined {
  if (!lists(upgrade, "websocket") || !lists(connection, "upgrade")) return "no-upgrade";
  if (version !== "13") return "version";
  return KEY.test(key) ? undefined : "key";
}

function lists(header: string, wanted: string): boolean {
  const names = header.toLowerCase().split(",");
  return names.some((name) => name.trim() === wanted);
}
